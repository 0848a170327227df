//! The pages. Each reads what it shows, makes plain values of it, and leaves the drawing to its
//! template.

mod act;
mod action;
mod answer;
mod charts;
mod frame;
mod job;
mod jobs;
mod listing;
mod nodes;
mod notes;
mod overview;
mod queue;
mod queues;
mod search;
mod theme;
mod timeline;

use axum::response::Response;

use crate::request::{Context, Fault};

pub(crate) use act::{act, confirm};
pub(crate) use job::job;
pub(crate) use jobs::jobs;
pub(crate) use overview::{overview, overview_part};
pub(crate) use queue::{queue, queue_part};
pub(crate) use queues::queues;
pub(crate) use search::search;
pub(crate) use theme::theme;

/// Answers to a path that is no page.
pub(crate) async fn missing(context: Context) -> Response {
    let text = "There is no page of this name.";
    answer::refuse(&context, Fault::not_found(text)).await
}
