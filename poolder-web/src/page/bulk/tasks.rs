//! The page of a change of many jobs, while it goes on and after its end.

use std::sync::Arc;

use askama::Template;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::access::Access;
use crate::page::answer::{answer, refuse, rendered};
use crate::page::change::{self, enough};
use crate::page::frame::Frame;
use crate::page::theme::inner_path;
use crate::request::{Context, Fault, Fields};
use crate::show::{icon, many, meter, number};
use crate::task::{About, End, Plan, Task};

#[derive(Debug, Template)]
#[template(path = "task.html")]
struct TaskPage {
    frame: Frame,
    title: String,
    command: String,
    actor: String,
    part: String,
    back: String,
}

/// The part of the page that changes.
#[derive(Debug, Template)]
#[template(path = "parts/task.html")]
struct TaskPart {
    state: &'static str,
    tone: &'static str,
    image: String,
    picture: String,
    sentence: String,
    failure: String,
    away: Vec<String>,
    /// The path of the order to stop; empty when there is nothing to stop.
    stop: String,
}

/// Begins a change of many jobs, and leads to its page.
pub(in crate::page) fn begin(
    context: &Context,
    plan: Plan,
    title: String,
    command: String,
    fields: &Fields,
) -> Result<Response, Fault> {
    let actor = change::actor(context).to_owned();
    let back = inner_path(fields.get("back")).to_owned();
    let about = About { title, command, actor, back };
    let Some(task) = context.shared.tasks.begin(change::client(context), plan, about) else {
        return Err(Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not now",
            "Other changes of many jobs run. Try it again when one of them has ended.",
        ));
    };
    let to = context.link(&format!("/task/{}", task.id));
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}

/// Returns the change of an id when the visitor sees all its queues.
fn found(context: &Context, id: &str) -> Result<Arc<Task>, Fault> {
    let sees = |task: &Arc<Task>| task.queues.iter().all(|queue| context.visitor.sees(queue));
    context.shared.tasks.find(id).filter(sees).ok_or_else(|| {
        let text =
            "This dashboard does not run it, or has forgotten it. The audit says what was done.";
        Fault::not_found(text)
    })
}

/// Answers with the page of a change.
pub(crate) async fn task(context: Context, Path(id): Path<String>) -> Response {
    let page = async {
        let task = found(&context, &id)?;
        let frame = Frame::new(&context, "Change of many jobs", "/jobs", None).await;
        Ok(TaskPage {
            frame: frame.live(&context, &format!("/task/{id}")),
            title: task.title.clone(),
            command: task.command.clone(),
            actor: task.actor.clone(),
            part: task_part(&context, &id)?,
            back: context.link(&task.back),
        })
    };
    let page = page.await;
    answer(&context, page).await
}

/// Returns the progress of a change.
pub(crate) fn task_part(context: &Context, id: &str) -> Result<String, Fault> {
    let task = found(context, id)?;
    let progress = task.progress();
    let (state, tone, image) = match &progress.end {
        None => ("goes on", "", "running"),
        Some(End::Done) => ("done", "ok", "yes"),
        Some(End::Stopped) => ("stopped", "warn", "no"),
        Some(End::Failed(_)) => ("failed", "bad", "no"),
    };
    let part = match progress.end {
        Some(End::Done) => 1.0,
        _ => progress.looked_at as f64 / progress.of.max(1) as f64,
    };
    let may_stop =
        task.queues.iter().all(|queue| context.visitor.access_to(queue) >= Access::Admin);
    let stop = match progress.end.is_none() && may_stop {
        true => context.link(&format!("/task/{id}/stop")),
        false => String::new(),
    };
    rendered(&TaskPart {
        state,
        tone,
        image: icon(image),
        picture: meter(part * 0.89, (600, 8)),
        sentence: format!(
            "Looked at {} of {}: {} to change, {} changed.",
            number(progress.looked_at),
            many(progress.of, "job"),
            number(progress.matched),
            number(progress.changed)
        ),
        failure: match progress.end {
            Some(End::Failed(why)) => why,
            _ => String::new(),
        },
        away: progress.away,
        stop,
    })
}

/// Lets a change end after its present step, and leads back to its page.
pub(crate) async fn stop_task(context: Context, Path(id): Path<String>) -> Response {
    let stopped = found(&context, &id).and_then(|task| {
        for queue in &task.queues {
            enough(context.visitor.access_to(queue), Access::Admin)?;
        }
        task.stop();
        Ok(())
    });
    match stopped {
        Ok(()) => {
            let to = context.link(&format!("/task/{id}"));
            (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
        }
        Err(fault) => refuse(&context, fault).await,
    }
}
