//! Retries all jobs of a group of equal errors, or buries them.

use axum::Form;
use axum::response::Response;
use poolder_client::Action as JobChange;
use poolder_core::QueueName;
use poolder_core::history::{ErrorGroup, ErrorId};
use poolder_core::view::{Filter, Listing};

use super::answer::{answer, refuse};
use super::bulk::{Count, begin, count, grown};
use super::change::{ConfirmPage, Question, asked_again};
use super::error_find::find;
use super::listing;
use crate::access::Access;
use crate::request::{Context, Fault, Fields};
use crate::show::{many, number};
use crate::task::{Part, Plan};

/// A change of the jobs of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Those that died are revived, and those that wait for another attempt run now.
    Retry,
    /// Those that wait for another attempt are buried.
    Bury,
}

impl Change {
    fn of(fields: &Fields) -> Result<Self, Fault> {
        match fields.get("action") {
            "retry" => Ok(Self::Retry),
            "bury" => Ok(Self::Bury),
            other => Err(Fault::invalid(format!("There is no action {other:?}."))),
        }
    }

    fn name(self) -> &'static str {
        if self == Self::Retry { "retry" } else { "bury" }
    }

    fn word(self) -> &'static str {
        if self == Self::Retry { "Retry" } else { "Bury" }
    }

    fn listings(self) -> &'static [Listing] {
        if self == Self::Retry { &[Listing::Dead, Listing::Retrying] } else { &[Listing::Retrying] }
    }

    fn part(self, group: &ErrorGroup, (queue, listing): (QueueName, Listing)) -> Part {
        let action = match (self, listing) {
            (Self::Bury, _) => JobChange::Bury(format!("error {}", group.id)),
            (_, Listing::Dead) => JobChange::Revive,
            _ => JobChange::RunNow,
        };
        Part { queue, listing, filter: filter(group), action }
    }
}

fn filter(group: &ErrorGroup) -> Filter {
    Filter::any().kind(&group.sample.kind).error(group.id)
}

/// Asks before a change of the jobs of a group.
pub(crate) async fn error_question(context: Context) -> Response {
    let page = async {
        let change = Change::of(&context.query)?;
        let group = find(&context, context.query("error")).await?;
        let parts = parts(&context, change).await?;
        let found = count(&context, &parts, &filter(&group)).await?;
        Ok(ask(&context, (change, &group), &parts, &found, String::new()).await)
    };
    let page = page.await;
    answer(&context, page).await
}

/// Changes the jobs of a group, as a task.
pub(crate) async fn error_change(context: Context, Form(fields): Form<Fields>) -> Response {
    match changed(&context, &fields).await {
        Ok(response) => response,
        Err(fault) => refuse(&context, fault).await,
    }
}

async fn changed(context: &Context, fields: &Fields) -> Result<Response, Fault> {
    let change = Change::of(fields)?;
    let group = find(context, fields.get("error")).await?;
    let parts = parts(context, change).await?;
    let found = count(context, &parts, &filter(&group)).await?;
    if let Some(again) = grown(fields, &found) {
        let page = ask(context, (change, &group), &parts, &found, again).await;
        return Ok(asked_again(context, Ok(page)).await);
    }
    let most = found.most();
    let parts = parts.into_iter().map(|part| change.part(&group, part)).collect();
    let title = format!("{} all jobs of error {}", change.word(), group.id);
    begin(context, Plan { parts, most }, title, command(change, group.id), fields)
}

/// Returns the lists of the queues that the visitor may change.
async fn parts(context: &Context, change: Change) -> Result<Vec<(QueueName, Listing)>, Fault> {
    let fleet = context.shared.looks.fleet().await?;
    let may = |queue: &str| context.visitor.access_to(queue) >= Access::Admin;
    let queues = context.queues(&fleet.value).into_iter();
    let queues: Vec<_> = queues.filter(|view| may(view.queue.as_str())).collect();
    if queues.is_empty() {
        let text = "This needs the right admin on a queue.";
        return Err(Fault::new(axum::http::StatusCode::FORBIDDEN, "Not allowed", text));
    }
    let of = |listing: &Listing| {
        let listing = *listing;
        let with = queues.iter().filter(move |view| listing::count(view, listing) > 0);
        with.map(move |view| (view.queue.clone(), listing)).collect::<Vec<_>>()
    };
    Ok(change.listings().iter().flat_map(of).collect())
}

fn command(change: Change, id: ErrorId) -> String {
    format!("poolder error {} {id}", change.name())
}

/// Returns the commands of all changes of a group, each with its name, for one example.
pub(super) fn example_commands(fields: &Fields) -> Vec<(String, String)> {
    let Ok(id) = fields.get("error").parse() else { return vec![] };
    let changes = [Change::Retry, Change::Bury].into_iter();
    changes.map(|change| (format!("error {}", change.name()), command(change, id))).collect()
}

async fn ask(
    context: &Context,
    (change, group): (Change, &ErrorGroup),
    parts: &[(QueueName, Listing)],
    found: &Count,
    again: String,
) -> ConfirmPage {
    let jobs = match found.is_exact {
        true => many(found.matched, "job"),
        false => "all jobs".into(),
    };
    let about = match change {
        Change::Retry => {
            "Those that died are revived with all their attempts, and those that wait \
                          for another attempt run now."
        }
        Change::Bury => "Those that wait for another attempt are dead then, and can be revived.",
    };
    let looked = match found.is_exact {
        true => String::new(),
        false => format!(
            "{} were found in {} of {} jobs; the rest was not looked at. ",
            number(found.matched),
            number(found.looked_at),
            number(found.of)
        ),
    };
    let several = parts.iter().any(|(queue, _)| *queue != parts[0].0);
    let listing = change.listings()[0];
    let table = listing::table(context, &found.first, (listing, several, false), found.now);
    let shown = match found.first.len() {
        0 => None,
        count => Some((format!("The first {}", many(count as u64, "job")), table)),
    };
    let asked = Question {
        title: "Are you sure?",
        question: format!("{} {jobs} of error {}?", change.word(), group.id),
        about: format!("{looked}{about}"),
        command: command(change, group.id),
        again,
        path: "/errors/change",
        hidden: vec![
            ("error".into(), group.id.to_string()),
            ("count".into(), found.most().to_string()),
        ],
        shown,
        action: change.name(),
        button: change.word(),
        destroys: change == Change::Bury,
        back: format!("/errors/{}", group.id),
        ..Question::default()
    };
    ConfirmPage::new(context, asked).await
}
