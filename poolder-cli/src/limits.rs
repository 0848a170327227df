//! The commands `poolder limits …`: how many jobs of a queue, and of each of its groups, run at a
//! time.

use clap::{Args, Subcommand};
use poolder_client::Client;
use poolder_core::QueueName;
use poolder_core::broker::QueueLimits;
use serde_json::json;

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::many::would_change;
use crate::output::{Cell, NOTHING, Report, Table, number};
use crate::queue::known;

/// The commands about the limits of queues.
#[derive(Debug, Subcommand)]
pub(crate) enum LimitsVerb {
    /// Show the limits of a queue, and the number of its groups.
    Get {
        /// The queue.
        queue: String,
    },
    /// Limit a queue, or change its limits. Those that are not named stay as they are. They hold
    /// from the next claim on: jobs that run already end, and count.
    Set(Set),
    /// End the limits of a queue, and the pauses and own limits of its groups. Jobs that wait in
    /// groups may start at once.
    End {
        /// The queue.
        queue: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

/// The limits that are set.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The queue.
    queue: String,
    /// How many jobs of the queue run at a time in all nodes together: 1 to 1,000,000, or none.
    #[arg(long, value_name = "N|none", value_parser = most)]
    concurrency: Option<Most>,
    /// How many jobs of each group run at a time in all nodes together: 1 to 1,000,000, or none.
    #[arg(long, value_name = "N|none", value_parser = most)]
    group_concurrency: Option<Most>,
    #[command(flatten)]
    confirm: Confirm,
}

/// A limit that is set; `None` for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most(pub(crate) Option<u32>);

/// Reads a limit. The library says which numbers are allowed.
pub(crate) fn most(text: &str) -> Result<Most, String> {
    if text == "none" {
        return Ok(Most(None));
    }
    let number = text.replace(',', "").parse();
    number.map(|number| Most(Some(number))).map_err(|_| "write a number, or none".to_owned())
}

/// Runs the command and returns its output.
pub(crate) async fn run(common: &Common, verb: &LimitsVerb) -> Result<Report, Failure> {
    let client = common.client().await?;
    match verb {
        LimitsVerb::Get { queue } => get(&client, &known(&client, queue).await?).await,
        LimitsVerb::Set(set) => change(&client, &known(&client, &set.queue).await?, set).await,
        LimitsVerb::End { queue, confirm } => {
            end(&client, &known(&client, queue).await?, *confirm).await
        }
    }
}

async fn get(client: &Client, queue: &QueueName) -> Result<Report, Failure> {
    let handle = client.limits(queue);
    let (limits, page) = (handle.get().await?, handle.groups(None, 1).await?);
    let value = json!({
        "queue": queue,
        "limits": limits,
        "groups": { "active": page.active, "own": page.own },
    });
    let report = Report::new(value).ids([queue]);
    let Some(limits) = limits else {
        return Ok(report.line(format!("queue {queue} has no limits")));
    };
    let limit = |limit: Option<u32>| -> Cell {
        limit.map_or_else(|| NOTHING.to_owned(), |limit| number(limit.into())).into()
    };
    Ok(report.table(Table::of_pairs([
        ("queue", queue.as_str().into()),
        ("jobs at a time", limit(limits.concurrency)),
        ("jobs of each group", limit(limits.group_concurrency)),
        ("groups with jobs", number(page.active).into()),
        ("groups paused or with own limits", number(page.own).into()),
    ])))
}

async fn change(client: &Client, queue: &QueueName, set: &Set) -> Result<Report, Failure> {
    let handle = client.limits(queue);
    let mut limits = handle.get().await?.unwrap_or_default();
    for (most, limit) in [
        (set.concurrency, &mut limits.concurrency),
        (set.group_concurrency, &mut limits.group_concurrency),
    ] {
        if let Some(Most(most)) = most {
            *limit = most;
        }
    }
    let text = format!("queue {queue} to {}", said(limits));
    let mut value = json!({ "queue": queue, "limits": limits });
    if set.confirm.dry_run {
        return Ok(would_change(&format!("limit {text}"), value, queue));
    }
    handle.set(limits).await?;
    value["done"] = "limited".into();
    Ok(Report::new(value).ids([queue]).line(format!("limited {text}")))
}

async fn end(client: &Client, queue: &QueueName, confirm: Confirm) -> Result<Report, Failure> {
    let mut value = json!({ "queue": queue });
    if confirm.dry_run {
        return Ok(would_change(&format!("end the limits of queue {queue}"), value, queue));
    }
    let waiting = client.limits(queue).end().await?;
    (value["done"], value["waiting"]) = ("ended".into(), waiting.into());
    let rest = match waiting {
        0 => String::new(),
        jobs => format!(": {} jobs wait in groups, and start in turn", number(jobs)),
    };
    Ok(Report::new(value).ids([queue]).line(format!("ended the limits of queue {queue}{rest}")))
}

/// Returns limits as a sentence says them.
fn said(limits: QueueLimits) -> String {
    let text = |limit: Option<u32>, what| {
        limit.map(|limit| format!("{} jobs {what}", number(limit.into())))
    };
    let all =
        [text(limits.concurrency, "at a time"), text(limits.group_concurrency, "of each group")];
    let all: Vec<String> = all.into_iter().flatten().collect();
    if all.is_empty() { "any number of jobs".to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_none() {
        assert_eq!(most("none"), Ok(Most(None)));
        assert_eq!(most("1,000"), Ok(Most(Some(1_000))));
        assert_eq!(most("0"), Ok(Most(Some(0))), "which the library refuses");
        for wrong in ["", "-1", "many", "99999999999"] {
            assert!(most(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(said(QueueLimits::new()), "any number of jobs");
        let limits = QueueLimits::new().concurrency(3).group_concurrency(1_000);
        assert_eq!(said(limits), "3 jobs at a time, 1,000 jobs of each group");
    }
}
