//! The command that changes the payload of a dead job and revives it.

use clap::Args;
use serde_json::{Value, json};

use super::target::{missing, resolve};
use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::{Exit, Failure};
use crate::output::Report;
use crate::payload;
use poolder_core::JobState;
use poolder_core::view::merge_patch;

/// A change of a payload.
#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// The job.
    job: String,
    /// A JSON merge patch (RFC 7386) for the payload; @FILE reads a file, - standard input.
    #[arg(long, value_name = "JSON", required_unless_present = "payload")]
    patch: Option<String>,
    /// The whole new payload in JSON; @FILE reads a file, - standard input.
    #[arg(long, value_name = "JSON", conflicts_with = "patch")]
    payload: Option<String>,
    #[command(flatten)]
    confirm: Confirm,
}

pub(super) async fn run(common: &Common, edit: &Edit) -> Result<Report, Failure> {
    let text = payload::read(edit.patch.as_deref().or(edit.payload.as_deref()).unwrap_or("null"))?;
    let given: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::not_understood(format!("the payload is not JSON: {error}")))?;
    let client = common.client().await?;
    let handle = resolve(&client, &edit.job).await?;
    let job = client.job(&handle);
    let view = job.view().await?.ok_or_else(|| missing(&edit.job))?;
    if view.state != JobState::Dead {
        let text = format!("job {handle} is {}: only dead jobs are edited", view.state);
        return Err(Failure::new(Exit::Failed, text)
            .hint("cancel it, and enqueue another with `poolder job enqueue`"));
    }
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
    let value = json!({ "done": "revived", "handle": handle, "payload": new });
    Ok(Report::new(value).ids([&handle]).line(format!("revived {handle} with the payload {new}")))
}
