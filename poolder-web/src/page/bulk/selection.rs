//! The jobs that a form names: those that were chosen, or all of a listing that satisfy a filter.

use poolder_client::Action as JobChange;
use poolder_core::view::{Filter, Listing};
use poolder_core::{Handle, QueueName};

use crate::access::Access;
use crate::page::change::{self, Action, allowed_on};
use crate::page::listing;
use crate::page::shell::{json_word, quoted, time_options};
use crate::request::{Context, Fault, Fields};
use crate::task::{Part, Plan};

/// The most jobs that can be chosen one by one.
const CHOSEN: usize = 200;
/// The most queues whose jobs one change can concern.
const QUEUES: usize = 200;

/// The jobs of a change.
#[derive(Debug)]
pub(in crate::page) struct Selection {
    pub(in crate::page) action: Action,
    pub(in crate::page) listing: Listing,
    pub(in crate::page) filter: Filter,
    pub(in crate::page) scope: Scope,
}

/// The extent of a selection.
#[derive(Debug)]
pub(in crate::page) enum Scope {
    /// These jobs.
    Chosen(Vec<Handle>),
    /// All jobs of these queues.
    All(Vec<QueueName>),
}

impl Selection {
    /// Reads a form, and fails unless the visitor may make its change in each of its queues.
    pub(super) async fn of(context: &Context, fields: &Fields) -> Result<Self, Fault> {
        let name = fields.get("action");
        let listing: Listing = fields.get("state").parse()?;
        let action = Action::of(name).filter(|action| actions(listing).contains(action));
        let action = action.ok_or_else(|| {
            Fault::invalid(format!("{name:?} cannot be done to {listing} jobs together."))
        })?;
        let filter: Filter = fields.get("where").parse()?;
        let is_all = fields.is_set("all");
        let scope = match is_all {
            true => Scope::All(queues(context, listing, fields).await?),
            false => Scope::Chosen(chosen(fields)?),
        };
        let selection = Self { action, listing, filter, scope };
        let needs = if is_all { Access::Admin } else { action.needs() };
        for queue in selection.queues() {
            allowed_on(context, queue, needs)?;
        }
        Ok(selection)
    }

    pub(in crate::page) fn is_all(&self) -> bool {
        matches!(self.scope, Scope::All(_))
    }

    /// Returns the queues of the jobs, each once.
    pub(in crate::page) fn queues(&self) -> Vec<&QueueName> {
        let mut queues: Vec<&QueueName> = match &self.scope {
            Scope::Chosen(jobs) => jobs.iter().map(|job| &job.partition.queue).collect(),
            Scope::All(queues) => queues.iter().collect(),
        };
        queues.sort();
        queues.dedup();
        queues
    }

    /// Returns the change with its value.
    pub(super) async fn change(
        &self,
        context: &Context,
        fields: &Fields,
    ) -> Result<JobChange, Fault> {
        Ok(match self.action {
            Action::Revive => JobChange::Revive,
            Action::RunNow => JobChange::RunNow,
            Action::Cancel => JobChange::Cancel,
            Action::Bury => JobChange::Bury(change::BURIED.into()),
            Action::Reschedule => match change::read_time(context, fields).await? {
                Some(at) => JobChange::Reschedule(at),
                None => return Err(Fault::invalid("Say when they shall run.")),
            },
            Action::Edit => match change::json(fields.get("patch"))? {
                patch if patch.is_object() => JobChange::Edit(patch),
                _ => return Err(Fault::invalid("A patch is an object, such as {\"user\": 7}.")),
            },
            _ => JobChange::Delete,
        })
    }

    /// Returns the plan of a change of all jobs.
    pub(super) fn plan(&self, change: &JobChange, fields: &Fields) -> Plan {
        let part = |queue: &QueueName| Part {
            queue: queue.clone(),
            listing: self.listing,
            filter: self.filter.clone(),
            action: change.clone(),
        };
        let most = fields.get("count").parse().unwrap_or(0);
        Plan { parts: self.queues().into_iter().map(part).collect(), most }
    }

    /// Returns the command that does the same.
    pub(super) fn command(&self, fields: &Fields) -> String {
        let verb = match self.action {
            Action::Revive => "dead retry",
            Action::RunNow => "job run-now",
            Action::Cancel => "job cancel",
            Action::Bury => "job kill",
            Action::Reschedule => "job reschedule",
            Action::Edit => "job edit",
            _ => "job rm",
        };
        let values = match self.action {
            Action::Reschedule => match time_options(fields) {
                none if none.is_empty() => " --in TIME".into(),
                time => time,
            },
            Action::Edit => format!(" --patch {}", json_word(fields.get("patch"), "patch")),
            _ => String::new(),
        };
        let jobs: String = match &self.scope {
            Scope::Chosen(jobs) => jobs.iter().map(|job| format!(" {job}")).collect(),
            Scope::All(_) => {
                let queues = self.queues().into_iter().map(|queue| format!(" --queue {queue}"));
                let is_dead = matches!(self.action, Action::Revive | Action::Edit);
                let state =
                    if is_dead { String::new() } else { format!(" --state {}", self.listing) };
                let filter = match self.filter.is_any() {
                    true => String::new(),
                    false => format!(" --where {}", quoted(&self.filter.to_string())),
                };
                queues.collect::<String>() + " --all" + &state + &filter
            }
        };
        format!("poolder {verb}{values}{jobs}")
    }
}

/// Returns the commands of all changes of several jobs, each with its name, for one example.
pub(in crate::page) fn example_commands(fields: &Fields) -> Vec<(String, String)> {
    let mut all = vec![];
    let Ok(job) = fields.get("job").parse::<Handle>() else { return all };
    let queues = [job.partition.queue.clone(), job.partition.queue.clone()];
    for listing in [Listing::Dead, Listing::Running, Listing::Ready, Listing::Retrying] {
        for &action in actions(listing) {
            let scopes = [Scope::Chosen(vec![job.clone()]), Scope::All(queues.to_vec())];
            for scope in scopes {
                let filter = fields.get("where").parse().unwrap_or_default();
                let selection = Selection { action, listing, filter, scope };
                let name = format!("{} several {listing} jobs", action.name());
                all.push((name, selection.command(fields)));
            }
        }
    }
    all
}

fn chosen(fields: &Fields) -> Result<Vec<Handle>, Fault> {
    let jobs = fields.all("job").map(str::parse).collect::<Result<Vec<Handle>, _>>()?;
    match jobs.len() {
        0 => Err(Fault::invalid("No job is chosen: tick some, or all that match.")),
        1..=CHOSEN => Ok(jobs),
        _ => Err(Fault::invalid(format!("At most {CHOSEN} jobs can be chosen one by one."))),
    }
}

/// Returns the queues that the form names, or else those that have jobs of the listing and that the
/// visitor may change.
async fn queues(
    context: &Context,
    listing: Listing,
    fields: &Fields,
) -> Result<Vec<QueueName>, Fault> {
    let named = fields.all("queue").map(QueueName::new).collect::<Result<Vec<_>, _>>()?;
    let queues = match named.is_empty() {
        false => named,
        true => {
            let fleet = context.shared.looks.fleet().await?;
            let may = |queue: &str| context.visitor.access_to(queue) >= Access::Admin;
            let views = context.queues(&fleet.value).into_iter();
            views
                .filter(|view| listing::count(view, listing) > 0 && may(view.queue.as_str()))
                .map(|view| view.queue.clone())
                .collect()
        }
    };
    match queues.len() {
        0 => Err(Fault::invalid(format!("No queue has {listing} jobs that you may change."))),
        1..=QUEUES => Ok(queues),
        _ => Err(Fault::invalid(format!("At most {QUEUES} queues are changed together."))),
    }
}

/// Returns the actions that can be taken on several jobs of a listing.
pub(super) fn actions(listing: Listing) -> &'static [Action] {
    match listing {
        Listing::Dead => &[Action::Revive, Action::Edit, Action::Delete],
        Listing::Running => &[Action::Cancel],
        Listing::Ready => &[Action::Reschedule, Action::Cancel, Action::Bury, Action::Delete],
        _ => &[Action::RunNow, Action::Reschedule, Action::Cancel, Action::Bury, Action::Delete],
    }
}
