//! The pages. Each reads what it shows, makes plain values of it, and leaves the drawing to its
//! template.

mod answer;
mod audit;
mod batches;
mod blast;
mod bulk;
mod cards;
mod change;
mod charts;
mod command;
mod enqueue;
mod error_change;
mod error_find;
mod error_group;
mod errors;
mod frame;
mod groups;
mod job;
mod job_command;
mod jobs;
mod keys;
mod kind;
mod kinds;
mod links;
mod listing;
mod marks;
mod node;
mod nodes;
mod notes;
mod overview;
mod pools;
mod queue;
mod queues;
mod schedule_changes;
mod schedule_form;
mod schedules;
mod search;
mod server;
mod shell;
mod theme;
mod timeline;
mod views;

use axum::response::Response;

use crate::request::{Context, Fault};

pub(crate) use audit::{audit, journal};
pub(crate) use batches::{batcher, batches};
pub(crate) use blast::blast_radius;
pub(crate) use bulk::{bulk, stop_task, task, task_part};
pub(crate) use change::{act, confirm};
pub use command::example_commands;
pub(crate) use enqueue::{enqueue, enqueue_form};
pub(crate) use error_change::{error_change, error_question};
pub(crate) use error_group::error_group;
pub(crate) use errors::errors;
pub(crate) use groups::groups;
pub(crate) use job::job;
pub(crate) use jobs::jobs;
pub(crate) use keys::keys;
pub(crate) use kind::kind;
pub(crate) use kinds::kinds;
pub(crate) use node::node;
pub(crate) use nodes::nodes;
pub(crate) use overview::{overview, overview_part};
pub(crate) use pools::{pool, pools};
pub(crate) use queue::{queue, queue_part};
pub(crate) use queues::queues;
pub(crate) use schedule_changes::schedule_changes;
pub(crate) use schedule_form::{schedule_form, schedule_save};
pub(crate) use schedules::schedules;
pub(crate) use search::search;
pub(crate) use server::server;
pub(crate) use theme::theme;
pub(crate) use views::views;

/// Answers to a path that is no page.
pub(crate) async fn missing(context: Context) -> Response {
    let text = "There is no page of this name.";
    answer::refuse(&context, Fault::not_found(text)).await
}
