//! The question before a change that cannot be undone, or that needs a value.

use poolder_core::view::JobView;
use poolder_core::{Handle, QueueName};
use serde_json::Value;

use super::action::Action;
use super::asked::{ConfirmPage, Question};
use super::fleet;
use super::group;
use super::inputs::{Input, time};
use super::mute;
use super::subject::Subject;
use crate::request::{Context, Fault, Fields};
use crate::show::{many, number};

/// Asks before a change of one subject.
pub(super) async fn ask(
    context: &Context,
    (action, subject): (Action, &Subject),
    fields: &Fields,
    again: String,
) -> Result<ConfirmPage, Fault> {
    let mut asked = Question {
        title: if action.destroys() {
            "Are you sure?"
        } else {
            action.word().trim_end_matches('…')
        },
        command: action.command(subject, fields),
        again,
        path: "/act",
        action: action.name(),
        button: action.word().trim_end_matches('…'),
        destroys: action.destroys(),
        back: fields.get("back").to_owned(),
        about: "This cannot be undone.".to_owned(),
        ..Question::default()
    };
    let own = subject.fields().into_iter().map(|(name, value)| (name.to_owned(), value));
    asked.hidden = own.collect();
    match (action, subject) {
        (_, Subject::Fleet(_)) => fleet::ask(context, action, &mut asked).await?,
        (_, Subject::Error(id, _)) => mute::ask(context, *id, fields, &mut asked).await?,
        (Action::Drain | Action::Purge, Subject::Queue(queue)) => {
            let count = concerned(context, action, queue).await?;
            let which =
                if action == Action::Drain { "that wait or are due later" } else { "that died" };
            asked.question = format!("Delete {} of {queue} {which}?", many(count, "job"));
            asked.hidden.push(("count".into(), count.to_string()));
            (asked.typed, asked.button) = (queue.to_string(), "Delete");
        }
        (_, Subject::Group(queue, group)) => {
            group::ask(context, queue, group, &mut asked).await?;
        }
        (Action::Resize, Subject::Queue(queue)) => {
            let view = context.shared.client.pool::<()>(queue).view().await?;
            asked.question = format!("How many slots shall {queue} have?");
            asked.about = format!(
                "It has {}. Slots beyond the new number finish their jobs.",
                many(view.size.into(), "slot")
            );
            let value = if fields.is_set("size") {
                fields.get("size").into()
            } else {
                view.size.to_string()
            };
            let slots = Input::new("size", "Slots", "number").value(value).required();
            asked.inputs.push(slots.hint("1 to 10,000, in the whole fleet"));
        }
        (Action::Reschedule, Subject::Job(handle)) => {
            asked.question = format!("When shall job {} run?", handle.job);
            asked.about = "It waits until then, and takes its turn in its lane.".into();
            asked.inputs = time(fields);
        }
        (Action::Edit, Subject::Job(handle)) => edit(context, handle, fields, &mut asked).await?,
        (_, Subject::Job(handle)) => {
            asked.question = format!("Delete job {handle}?");
        }
        _ => others(action, subject, fields, &mut asked),
    }
    Ok(ConfirmPage::new(context, asked).await)
}

/// Words the questions about nodes, schedules, pools, batchers and keys.
fn others(action: Action, subject: &Subject, fields: &Fields, asked: &mut Question) {
    let (question, about) = match (action, subject) {
        (Action::QuietNode, Subject::Node(name)) => (
            format!("Let {name} take no more jobs?"),
            "It finishes those that it runs, and its process goes on. It can be resumed.",
        ),
        (Action::StopNode, Subject::Node(name)) => (
            format!("Stop {name}?"),
            "It finishes the jobs that it runs within its shutdown timeout, and ends. A supervisor \
             may start it again.",
        ),
        (Action::ForgetNode, Subject::Node(name)) => (
            format!("Declare {name} dead?"),
            "Its jobs are taken over at once. It must have been silent for 8 s.",
        ),
        (_, Subject::Schedule(queue, name)) => (
            format!("Remove schedule {name} of {queue}?"),
            "Jobs that it has enqueued stay. A schedule that code declares comes back when a node \
             with that code starts.",
        ),
        (_, Subject::Pool(queue, slot)) => (
            match slot {
                Some(slot) => format!("Stop slot {slot} of {queue}?"),
                None => format!("Stop all slots of {queue}?"),
            },
            "Running jobs finish, and no more are claimed there until it is started again.",
        ),
        (_, Subject::List { batcher, group, .. }) => {
            for name in ["index", "generation", "entry"] {
                asked.hidden.push((name.into(), fields.get(name).into()));
            }
            let of = if group.is_empty() { String::new() } else { format!(", group {group}") };
            let index = fields.get("index");
            (format!("Take entry {index} out of {batcher}{of}?"), "It is never handled then.")
        }
        (_, Subject::Key(queue, key)) => (
            format!("Release key {key} of {queue}?"),
            "Its job goes on, so another one of the key may run beside it.",
        ),
        _ => (format!("{} ?", asked.button), ""),
    };
    (asked.question, asked.about) = (question, about.to_owned());
}

/// Asks for the payload of a job. Where a part of it is hidden from visitors, only a patch can be
/// given, so that what is hidden stays as it is.
async fn edit(
    context: &Context,
    handle: &Handle,
    fields: &Fields,
    asked: &mut Question,
) -> Result<(), Fault> {
    let view = context.shared.client.job(handle).view().await?;
    let view = view.ok_or_else(|| Fault::not_found(format!("Job {handle} was not found.")))?;
    let (shown, is_whole) = shown(context, &view)?;
    asked.question = format!("Edit job {}, and run it again?", handle.job);
    let state = match view.state {
        poolder_core::JobState::Dead => "All its attempts are restored.",
        _ => "It is due at once, and has all its attempts again.",
    };
    asked.about = match is_whole {
        true => format!("{state} Values that are left alone stay as they are stored."),
        false => format!(
            "{state} Some of the payload is hidden here, so it is changed by a patch: fields that \
             are not named stay, and null removes one."
        ),
    };
    let (name, label) = if is_whole { ("payload", "Payload") } else { ("patch", "Patch") };
    let written = match (fields.get(name), is_whole) {
        ("", true) => serde_json::to_string_pretty(&shown).unwrap_or_default(),
        ("", false) => "{}".into(),
        (written, _) => written.to_owned(),
    };
    asked.inputs.push(Input::new(name, label, "textarea").value(written).hint("JSON").required());
    Ok(())
}

/// Returns the payload of a job as visitors may see it, and whether that is all of it.
pub(in crate::page) fn shown(context: &Context, view: &JobView) -> Result<(Value, bool), Fault> {
    let stored = view.payload_json()?;
    let mut shown = stored.clone();
    context.redact(view, &mut shown);
    let is_whole = shown == stored;
    Ok((shown, is_whole))
}

/// Returns the number of jobs that an action of a queue would delete, as of now.
async fn concerned(context: &Context, action: Action, queue: &QueueName) -> Result<u64, Fault> {
    let view = context.shared.client.inspect(queue).overview().await?;
    Ok(match action {
        Action::Drain => view.ready().saturating_add(view.due),
        _ => view.dead,
    })
}

/// Returns the reason why a change is not made yet.
pub(super) async fn not_confirmed(
    context: &Context,
    action: Action,
    subject: &Subject,
    fields: &Fields,
) -> Option<String> {
    let named: u64 = fields.get("count").parse().unwrap_or(0);
    let (word, thing, done, now) = match (action, subject) {
        (_, Subject::Fleet(_)) => {
            (many(named, "queue"), "queue", "changed", fleet::count(context, action).await)
        }
        (Action::Drain | Action::Purge, Subject::Queue(queue)) => {
            (format!("the name {queue}"), "job", "deleted", concerned(context, action, queue).await)
        }
        (Action::PurgeGroup, Subject::Group(queue, group)) => {
            let word = format!("the name {}", group::typed(queue, group));
            (word, "job", "deleted", group::count(context, queue, group).await)
        }
        _ => return None,
    };
    if fields.get("typed") != word.strip_prefix("the name ").unwrap_or(&word) {
        return Some(format!("Type {word} to go on."));
    }
    match now {
        Ok(now) if now > named => Some(format!(
            "There were {}, and now there are {}. Nothing was {done}.",
            many(named, thing),
            number(now)
        )),
        Ok(_) => None,
        Err(fault) => Some(fault.text),
    }
}
