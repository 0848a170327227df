//! The command that changes the payloads of jobs, and lets the jobs run with them.

use clap::Args;
use poolder_client::Client;
use poolder_core::JobState;
use poolder_core::view::{Filter, Listing, merge_patch};
use serde_json::{Value, json};

use super::act::{self, JobChange};
use super::target::{missing, resolve};
use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Report;
use crate::payload;
use crate::select::Selected;

/// A change of payloads.
#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// The jobs.
    #[arg(required_unless_present = "all", value_name = "JOB")]
    jobs: Vec<String>,
    /// All dead jobs of this queue that satisfy the conditions; needs --all. May be given several
    /// times.
    #[arg(long = "queue", value_name = "QUEUE", requires = "all", conflicts_with = "jobs")]
    queues: Vec<String>,
    /// Select dead jobs by queue and conditions.
    #[arg(long, requires = "queues")]
    all: bool,
    /// With --all, only jobs that satisfy these conditions: see poolder job ls.
    #[arg(long = "where", value_name = "CONDITIONS", requires = "all")]
    conditions: Option<Filter>,
    /// A JSON merge patch (RFC 7386) for the payload; @FILE reads a file, - standard input.
    #[arg(long, value_name = "JSON", required_unless_present = "payload")]
    patch: Option<String>,
    /// The whole new payload of one job in JSON; @FILE reads a file, - standard input.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["patch", "all"])]
    payload: Option<String>,
    #[command(flatten)]
    confirm: Confirm,
}

pub(super) async fn run(common: &Common, edit: &Edit) -> Result<Report, Failure> {
    let text = payload::read(edit.patch.as_deref().or(edit.payload.as_deref()).unwrap_or("null"))?;
    let given: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::not_understood(format!("the payload is not JSON: {error}")))?;
    if let [job] = edit.jobs.as_slice() {
        return one(&common.client().await?, edit, job, given).await;
    }
    if edit.payload.is_some() {
        return Err(Failure::not_understood("a whole payload is for one job")
            .hint("use --patch for several jobs"));
    }
    if !given.is_object() {
        return Err(Failure::not_understood("a patch is an object, such as {\"user\":7}"));
    }
    let (client, change) = (common.client().await?, JobChange::Edit(&given));
    if !edit.all {
        return act::named(&client, &edit.jobs, edit.confirm, change).await;
    }
    let filter = edit.conditions.clone().unwrap_or_default();
    let selected = Selected { queues: &edit.queues, listing: Listing::Dead, filter };
    act::bulk(&client, edit.confirm, change, &selected).await
}

/// Changes the payload of one job.
async fn one(client: &Client, edit: &Edit, job: &str, given: Value) -> Result<Report, Failure> {
    let handle = resolve(client, job).await?;
    let view = client.job(&handle).view().await?.ok_or_else(|| missing(job))?;
    let mut new = view.payload_json()?;
    match edit.patch {
        Some(_) => merge_patch(&mut new, &given),
        None => new = given,
    }
    if edit.confirm.dry_run {
        let report = Report::new(json!({ "dry_run": true, "handle": handle, "payload": new }));
        return Ok(report.ids([&handle]).line(new.to_string()));
    }
    client.job(&view.handle).edit_and_revive(&new).await?;
    let done = if view.state == JobState::Dead { "revived" } else { "edited" };
    let value = json!({ "done": done, "handle": handle, "payload": new });
    Ok(Report::new(value).ids([&handle]).line(format!("{done} {handle} with the payload {new}")))
}
