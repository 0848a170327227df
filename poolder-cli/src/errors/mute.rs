//! The commands that mute groups of equal errors, and end mutes.

use std::time::Duration;

use clap::Args;
use poolder_client::{Client, MuteErrors};
use poolder_core::history::ErrorGroup;
use serde_json::json;

use super::act::GroupChange;
use super::find;
use crate::failure::Failure;
use crate::many::Changes;
use crate::output::{Report, duration, second};

/// A mute of some groups.
#[derive(Debug, Args)]
pub(crate) struct Mute {
    #[command(flatten)]
    groups: GroupChange,
    /// For this long: 4h, 7d.
    #[arg(long = "for", value_name = "TIME", value_parser = poolder_cron::span)]
    time: Duration,
    /// Until the first node of another deploy starts, if that is earlier.
    #[arg(long)]
    until_deploy: bool,
    /// Only while the error is seen at most this often in an hour.
    #[arg(long, value_name = "TIMES")]
    at_most: Option<u64>,
}

impl Mute {
    fn of(&self, client: &Client, group: &ErrorGroup) -> MuteErrors {
        let mute = client.mute_errors(group, self.time);
        let mute = if self.until_deploy { mute.until_deploy() } else { mute };
        self.at_most.into_iter().fold(mute, MuteErrors::at_most)
    }
}

/// Mutes groups.
pub(super) async fn mute(
    client: &Client,
    groups: &[ErrorGroup],
    mute: &Mute,
) -> Result<Report, Failure> {
    let mut changes = Changes::default();
    for id in &mute.groups.ids {
        match find(groups, id) {
            Ok(group) if mute.groups.confirm.dry_run => {
                let change = format!("mute error {} for {}", group.id, duration(mute.time));
                changes.would(&change, json!({ "error": group.id }), group.id.to_string());
            }
            Ok(group) => match mute.of(client, group).await {
                Ok(muted) => {
                    let line =
                        format!("muted error {} until {}", group.id, second(Some(muted.until)));
                    let value = json!({ "done": "muted", "error": group.id, "mute": muted });
                    changes.done(value, group.id.to_string(), line);
                }
                Err(error) => changes.failed(error),
            },
            Err(failure) => changes.failed(failure),
        }
    }
    changes.report()
}

/// Ends the mutes of groups.
pub(super) async fn unmute(
    client: &Client,
    groups: &[ErrorGroup],
    change: &GroupChange,
) -> Result<Report, Failure> {
    let mut changes = Changes::default();
    for id in &change.ids {
        match find(groups, id) {
            Ok(group) if change.confirm.dry_run => {
                let would = format!("unmute error {}", group.id);
                changes.would(&would, json!({ "error": group.id }), group.id.to_string());
            }
            Ok(group) => match client.unmute_errors(group).await {
                Ok(changed) => {
                    let was = if changed { "" } else { ", which was not muted" };
                    let value = json!({ "done": "unmuted", "error": group.id, "changed": changed });
                    let line = format!("unmuted error {}{was}", group.id);
                    changes.done(value, group.id.to_string(), line);
                }
                Err(error) => changes.failed(error),
            },
            Err(failure) => changes.failed(failure),
        }
    }
    changes.report()
}
