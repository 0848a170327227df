//! All queues are paused or resumed at once: those that the visitor may change.

use poolder_client::Client;
use poolder_core::QueueName;
use poolder_core::view::QueueView;

use super::action::Action;
use super::asked::Question;
use super::subject::Subject;
use super::summary::summary;
use crate::request::{Context, Fault};
use crate::show::{Cell, Column, Table, many};

/// The number of queues that the question shows.
const SHOWN: usize = 10;

/// Returns the subject of a change of all queues: their names, where the visitor may not change
/// all of them.
pub(super) async fn subject(context: &Context, action: Action) -> Result<Subject, Fault> {
    let fleet = context.shared.looks.fleet().await?;
    let all = &fleet.value.queues;
    let may: Vec<QueueName> = all
        .iter()
        .filter(|view| is_allowed(context, action, view))
        .map(|view| view.queue.clone())
        .collect();
    Ok(Subject::Fleet(if may.len() < all.len() { may } else { vec![] }))
}

fn is_allowed(context: &Context, action: Action, view: &QueueView) -> bool {
    context.visitor.access_to(view.queue.as_str()) >= action.needs()
}

/// Returns the queues that the change concerns, as of now: those that are not as they shall be.
async fn concerned(context: &Context, action: Action) -> Result<Vec<QueueView>, Fault> {
    let mut views = context.shared.client.overview().await?;
    let pauses = action == Action::PauseAll;
    views.retain(|view| view.paused.is_none() == pauses && is_allowed(context, action, view));
    Ok(views)
}

/// Returns the number of queues that the change concerns, as of now.
pub(super) async fn count(context: &Context, action: Action) -> Result<u64, Fault> {
    Ok(concerned(context, action).await?.len() as u64)
}

/// Words the question.
pub(super) async fn ask(
    context: &Context,
    action: Action,
    asked: &mut Question,
) -> Result<(), Fault> {
    let views = concerned(context, action).await?;
    let (verb, state) =
        if action == Action::PauseAll { ("Pause", "paused") } else { ("Resume", "not paused") };
    if views.is_empty() {
        return Err(Fault::invalid(format!("Each queue that you may change is {state} already.")));
    }
    let count = many(views.len() as u64, "queue");
    asked.question = format!("{verb} {count}?");
    asked.about = match action {
        Action::PauseAll => {
            "Within about a second no node claims a job from them. Running jobs finish, and others \
             wait until their queue is resumed."
        }
        _ => "Their jobs run as soon as slots are free.",
    }
    .into();
    asked.hidden.push(("count".into(), views.len().to_string()));
    (asked.typed, asked.button) = (count, verb);
    let columns = vec![Column::text("Queue"), Column::number("Waiting"), Column::number("Running")];
    let mut table = Table::new("Queues", columns);
    for view in views.iter().take(SHOWN) {
        let name = view.queue.as_str();
        table.row([
            Cell::text(name).link(context.link(&format!("/queues/{name}"))).class("name"),
            Cell::count(view.ready()),
            Cell::count(view.running()),
        ]);
    }
    asked.shown = Some((format!("The first {}", many(table.rows.len() as u64, "queue")), table));
    Ok(())
}

/// Makes the change. Returns what was done, in words.
pub(super) async fn make(
    context: &Context,
    client: &Client,
    action: Action,
) -> Result<String, Fault> {
    let views = concerned(context, action).await?;
    let queues = views.iter().map(|view| &view.queue);
    let (verb, results) = match action {
        Action::PauseAll => ("Paused", client.pause_many(queues).await),
        _ => ("Resumed", client.resume_many(queues).await),
    };
    let failed = views
        .iter()
        .zip(&results)
        .filter_map(|(view, result)| Some(format!("{}: {}", view.queue, result.as_ref().err()?)));
    Ok(summary(verb, (results.len(), "queue"), &failed.collect::<Vec<_>>()))
}
