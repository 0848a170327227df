//! The pages. Each reads what it shows, makes plain values of it, and leaves the drawing to its
//! template.

mod answer;
mod audit;
mod bulk;
mod cards;
mod change;
mod charts;
mod errors;
mod frame;
mod job;
mod jobs;
mod kinds;
mod listing;
mod nodes;
mod notes;
mod overview;
mod queue;
mod queues;
mod schedules;
mod search;
mod server;
mod theme;
mod timeline;

use axum::response::Response;

use crate::request::{Context, Fault};

pub(crate) use audit::{audit, journal};
pub(crate) use bulk::{bulk, stop_task, task, task_part};
pub(crate) use change::{act, confirm};
pub(crate) use errors::errors;
pub(crate) use job::job;
pub(crate) use jobs::jobs;
pub(crate) use kinds::kinds;
pub(crate) use nodes::nodes;
pub(crate) use overview::{overview, overview_part};
pub(crate) use queue::{queue, queue_part};
pub(crate) use queues::queues;
pub(crate) use schedules::schedules;
pub(crate) use search::search;
pub(crate) use server::server;
pub(crate) use theme::theme;

/// Answers to a path that is no page.
pub(crate) async fn missing(context: Context) -> Response {
    let text = "There is no page of this name.";
    answer::refuse(&context, Fault::not_found(text)).await
}
