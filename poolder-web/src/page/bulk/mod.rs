//! Changes of several jobs: those that were chosen in a list, or all that satisfy its conditions.

mod bar;
mod count;
mod question;
mod selection;
mod tasks;

use axum::Form;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use poolder_client::Action as JobChange;
use poolder_core::Handle;

use super::answer::{answer, refuse};
use super::change::{self, asked_again, done_and_back};
use super::theme::inner_path;
use crate::request::{Context, Fault, Fields};

pub(in crate::page) use bar::{Bar, bar};
pub(in crate::page) use count::{Count, count, grown};
pub(in crate::page) use selection::{Scope, Selection, example_commands};
pub(in crate::page) use tasks::begin;
pub(crate) use tasks::{stop_task, task, task_part};

/// The number of jobs that are changed at the same time.
const AT_ONCE: usize = 16;

/// Asks before a change of several jobs, or makes it: at once for jobs that were chosen, and as a
/// task for all that satisfy the conditions.
pub(crate) async fn bulk(context: Context, Form(fields): Form<Fields>) -> Response {
    match made(&context, &fields).await {
        Ok(response) => response,
        Err(fault) => refuse(&context, fault).await,
    }
}

async fn made(context: &Context, fields: &Fields) -> Result<Response, Fault> {
    let selection = Selection::of(context, fields).await?;
    let asks = selection.action.asks() || selection.is_all() || selection.action.destroys();
    if asks && !fields.is_set("go") {
        let page = question::ask(context, &selection, fields, String::new()).await;
        return Ok(answer(context, page).await);
    }
    let change = match selection.change(context, fields).await {
        Ok(change) => change,
        Err(fault) => return again(context, &selection, fields, fault.text).await,
    };
    if let Scope::Chosen(jobs) = &selection.scope {
        let done = change_all(context, jobs, &change).await;
        return Ok(done_and_back(context, &done, "", inner_path(fields.get("back"))));
    }
    match question::not_confirmed(context, &selection, fields).await? {
        Some(text) => again(context, &selection, fields, text).await,
        None => {
            let title = question::title(&selection, None);
            let plan = selection.plan(&change, fields);
            begin(context, plan, title, selection.command(fields), fields)
        }
    }
}

async fn again(
    context: &Context,
    selection: &Selection,
    fields: &Fields,
    text: String,
) -> Result<Response, Fault> {
    let page = question::ask(context, selection, fields, text).await;
    Ok(asked_again(context, page).await)
}

/// Changes each of some jobs. Returns what was done, in words.
async fn change_all(context: &Context, jobs: &[Handle], change: &JobChange) -> String {
    let client = change::client(context);
    let each: Vec<_> = jobs.iter().map(|job| change::change_job(&client, job, change)).collect();
    let results: Vec<_> = stream::iter(each).buffered(AT_ONCE).collect().await;
    let failed = jobs
        .iter()
        .zip(&results)
        .filter_map(|(job, result)| Some(format!("{}: {}", job.job, result.as_ref().err()?)));
    change::summary(verb(change), (results.len(), "job"), &failed.collect::<Vec<_>>())
}

/// Returns the change as a word before "3 jobs", after it was made.
fn verb(change: &JobChange) -> &'static str {
    match change {
        JobChange::Revive => "Revived",
        JobChange::RunNow => "Hurried",
        JobChange::Cancel => "Cancelled",
        JobChange::Reschedule(_) => "Rescheduled",
        JobChange::Bury(_) => "Buried",
        JobChange::Edit(_) => "Edited and revived",
        _ => "Deleted",
    }
}
