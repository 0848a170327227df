//! Changes: the question before one that cannot be undone, and the change itself.

use askama::Template;
use axum::Form;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use poolder_client::Client;
use poolder_core::history::Actor;
use poolder_core::{Handle, QueueName};
use serde::Deserialize;

use super::action::Action;
use super::answer::{answer, refuse};
use super::frame::Frame;
use super::theme::inner_path;
use crate::request::{Context, Fault, said_cookie};
use crate::show::{many, number};

/// The form of a change.
#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    action: String,
    #[serde(default)]
    queue: String,
    #[serde(default)]
    job: String,
    #[serde(default)]
    back: String,
    /// The name of the queue, as the visitor has typed it.
    #[serde(default)]
    typed: String,
    /// The number of jobs that the question named.
    #[serde(default)]
    count: u64,
}

/// The subject of a change.
#[derive(Debug)]
enum Subject {
    Queue(QueueName),
    Job(Handle),
}

#[derive(Debug, Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    frame: Frame,
    question: String,
    command: String,
    action: &'static str,
    field: &'static str,
    subject: String,
    /// The name that must be typed; empty for a single job.
    typed: String,
    count: u64,
    back: String,
    back_link: String,
    again: String,
}

/// Answers with the question before a change.
pub(crate) async fn confirm(context: Context) -> Response {
    let text = |name: &str| context.query(name).to_owned();
    let change = Change {
        action: text("action"),
        queue: text("queue"),
        job: text("job"),
        back: text("back"),
        typed: String::new(),
        count: 0,
    };
    let page = async {
        let (action, subject) = checked(&context, &change)?;
        question(&context, action, &subject, &change.back, String::new()).await
    };
    let page = page.await;
    answer(&context, page).await
}

/// Makes a change, and leads back to the page; asks again where the question was not answered, or
/// its number is not right any more.
pub(crate) async fn act(context: Context, Form(change): Form<Change>) -> Response {
    let (action, subject) = match checked(&context, &change) {
        Ok(checked) => checked,
        Err(fault) => return refuse(&context, fault).await,
    };
    if let Some(again) = not_confirmed(&context, action, &subject, &change).await {
        let page = question(&context, action, &subject, &change.back, again).await;
        let mut asked = answer(&context, page).await;
        if asked.status().is_success() {
            *asked.status_mut() = StatusCode::CONFLICT;
        }
        return asked;
    }
    let actor = match context.visitor.actor.as_str() {
        "" => "a visitor",
        actor => actor,
    };
    let client = context.shared.client.acting_as(Actor::new(actor).via("dashboard"));
    let done = match &subject {
        Subject::Queue(queue) => of_queue(&client, action, queue).await,
        Subject::Job(handle) => of_job(&client, action, handle).await,
    };
    match done {
        Ok(done) => {
            let text = format!("{done} The same: {}", action.command(&subject.text()));
            let back = match (action, inner_path(&change.back)) {
                // The page of a job that is gone leads nowhere.
                (Action::Delete, _) => format!("/queues/{}", subject.queue()),
                (_, back) => back.to_owned(),
            };
            let headers = [
                (header::LOCATION, context.link(&back)),
                (header::SET_COOKIE, said_cookie(&context.base, &text)),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(fault) => refuse(&context, fault).await,
    }
}

impl Subject {
    fn queue(&self) -> &QueueName {
        match self {
            Self::Queue(queue) => queue,
            Self::Job(handle) => &handle.partition.queue,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Queue(queue) => queue.to_string(),
            Self::Job(handle) => handle.to_string(),
        }
    }
}

/// Returns the action and its subject when the visitor may take it.
fn checked(context: &Context, change: &Change) -> Result<(Action, Subject), Fault> {
    let action = Action::of(&change.action)
        .ok_or_else(|| Fault::invalid(format!("There is no action {:?}.", change.action)))?;
    let subject = match action.is_of_queue() {
        true => Subject::Queue(QueueName::new(&change.queue)?),
        false => Subject::Job(change.job.parse()?),
    };
    let queue = subject.queue().as_str();
    context.must_see(queue)?;
    match context.visitor.access_to(queue) {
        access if access >= action.needs() => Ok((action, subject)),
        access => Err(Fault::new(
            StatusCode::FORBIDDEN,
            "Not allowed",
            format!("This needs the right {}, and yours is {access}.", action.needs()),
        )),
    }
}

/// Returns the number of jobs that an action of a queue would delete, as of now.
async fn concerned(context: &Context, action: Action, queue: &QueueName) -> Result<u64, Fault> {
    let view = context.shared.client.inspect(queue).overview().await?;
    Ok(match action {
        Action::Drain => view.ready().saturating_add(view.due),
        Action::Purge => view.dead,
        _ => 0,
    })
}

/// Returns the reason why a change is not made yet.
async fn not_confirmed(
    context: &Context,
    action: Action,
    subject: &Subject,
    change: &Change,
) -> Option<String> {
    let Subject::Queue(queue) = subject else { return None };
    if !action.asks() {
        return None;
    }
    if change.typed.trim() != queue.as_str() {
        return Some(format!("Type the name {queue} to go on."));
    }
    match concerned(context, action, queue).await {
        Ok(now) if now > change.count => Some(format!(
            "There were {}, and now there are {}. Nothing was deleted.",
            many(change.count, "job"),
            number(now)
        )),
        Ok(_) => None,
        Err(fault) => Some(fault.text),
    }
}

async fn question(
    context: &Context,
    action: Action,
    subject: &Subject,
    back: &str,
    again: String,
) -> Result<ConfirmPage, Fault> {
    let (question, count, typed) = match (action, subject) {
        (Action::Drain | Action::Purge, Subject::Queue(queue)) => {
            let count = concerned(context, action, queue).await?;
            let which =
                if action == Action::Drain { "that wait or are due later" } else { "that died" };
            let question = format!("Delete {} of {queue} {which}?", many(count, "job"));
            (question, count, queue.to_string())
        }
        (_, subject) => (format!("Delete job {}?", subject.text()), 1, String::new()),
    };
    let back = inner_path(back);
    Ok(ConfirmPage {
        frame: Frame::new(context, "Are you sure?", "", None).await,
        question,
        command: action.command(&subject.text()),
        action: action.name(),
        field: if action.is_of_queue() { "queue" } else { "job" },
        subject: subject.text(),
        typed,
        count,
        back_link: context.link(back),
        back: back.to_owned(),
        again,
    })
}

async fn of_queue(client: &Client, action: Action, queue: &QueueName) -> Result<String, Fault> {
    let already = |changed| if changed { "" } else { ", which it was already" };
    Ok(match action {
        Action::Pause => format!("Paused {queue}{}.", already(client.pause(queue).await?)),
        Action::Resume => format!("Resumed {queue}{}.", already(client.resume(queue).await?)),
        Action::Drain => {
            let deleted = client.inspect(queue).drain().await?;
            format!("Deleted {} of {queue} that waited.", many(deleted, "job"))
        }
        _ => {
            let deleted = client.inspect(queue).purge_dead().await?;
            format!("Deleted {} of {queue} that had died.", many(deleted, "job"))
        }
    })
}

async fn of_job(client: &Client, action: Action, handle: &Handle) -> Result<String, Fault> {
    let (job, id) = (client.job(handle), handle.job);
    Ok(match action {
        Action::RunNow => {
            job.run_now().await?;
            format!("Job {id} runs as soon as a slot is free.")
        }
        Action::Revive => {
            job.revive().await?;
            format!("Revived job {id}.")
        }
        Action::Cancel => format!("Job {id}: {}.", job.cancel().await?),
        Action::Bury => {
            job.bury("buried on the dashboard").await?;
            format!("Buried job {id}.")
        }
        _ => {
            job.remove().await?;
            format!("Deleted job {id}.")
        }
    })
}
