//! The commands `poolder unique …`: the keys of unique jobs, and who holds them.

use clap::Subcommand;
use poolder_client::Client;
use poolder_core::UniqueKey;
use poolder_core::broker::KeyView;
use serde_json::{Value, json};

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::{Exit, Failure};
use crate::many::would_change;
use crate::output::{Cell, NOTHING, Report, Table, moment, second};

/// The most keys that one read returns.
const PAGE: usize = 500;

/// The commands about the keys of unique jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum UniqueVerb {
    /// Show the keys of a queue that are held, and the jobs that hold them.
    Ls {
        /// The queue.
        queue: String,
        /// The most keys to show.
        #[arg(short, long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Show which job holds a key.
    Get {
        /// The queue.
        queue: String,
        /// The key: 24 hexadecimal digits, as `unique ls` and `job explain` write it.
        key: UniqueKey,
    },
    /// Free a key. Its job goes on, and another one of the key may run beside it; one that waits
    /// behind it is due.
    Release {
        /// The queue.
        queue: String,
        /// The key: 24 hexadecimal digits, as `unique ls` and `job explain` write it.
        key: UniqueKey,
        #[command(flatten)]
        confirm: Confirm,
    },
}

/// Runs the command and returns its output.
pub(crate) async fn run(common: &Common, verb: &UniqueVerb) -> Result<Report, Failure> {
    let client = common.client().await?;
    match verb {
        UniqueVerb::Ls { queue, limit } => list(&client, queue, *limit).await,
        UniqueVerb::Get { queue, key } => {
            let held = find(&client, queue, *key).await?;
            let report = Report::new(&held).ids([id(&held)]);
            Ok(report.table(Table::of_pairs(facts(&held))))
        }
        UniqueVerb::Release { queue, key, confirm } => {
            let held = find(&client, queue, *key).await?;
            release(&client, queue, &held, *confirm).await
        }
    }
}

async fn list(client: &Client, queue: &str, limit: usize) -> Result<Report, Failure> {
    let inspector = client.inspect(queue);
    let (mut keys, mut after, mut more) = (vec![], None, true);
    while more && keys.len() < limit {
        let (page, next) = inspector.unique_keys(after, PAGE.min(limit - keys.len())).await?;
        keys.extend(page);
        (after, more) = (next, next.is_some());
    }
    let more = more || keys.len() > limit;
    keys.truncate(limit);
    let mut table = Table::new(&["KEY", "RULE", "JOB", "BEHIND", "SINCE", "UNTIL"]);
    for held in &keys {
        table.row([
            held.key.to_string().into(),
            held.mode.to_string().into(),
            held.job.job.to_string().into(),
            behind(held).into(),
            second(Some(held.since)).into(),
            second(Some(held.until)).into(),
        ]);
    }
    let report = Report::new(&keys).ids(keys.iter().map(|held| held.key));
    let report = match table.is_empty() {
        true => report.note(format!("no key of queue {queue} is held")),
        false => report.table(table),
    };
    Ok(if more {
        report.note(format!("more are held than the first {limit}, which are shown"))
    } else {
        report
    })
}

async fn find(client: &Client, queue: &str, key: UniqueKey) -> Result<KeyView, Failure> {
    let held = client.inspect(queue).unique_key(key).await?;
    held.ok_or_else(|| {
        Failure::not_found(format!("no job of queue {queue} holds the key {key}"))
            .hint(format!("`poolder unique ls {queue}` shows those that are held"))
    })
}

async fn release(
    client: &Client,
    queue: &str,
    held: &KeyView,
    confirm: Confirm,
) -> Result<Report, Failure> {
    let (key, job) = (held.key, held.job.job);
    let subject = json!({ "queue": queue, "key": key, "job": job, "behind": held.behind });
    if confirm.dry_run {
        let change = format!("release key {key} of queue {queue}, which job {job} holds");
        return Ok(would_change(&change, subject, key));
    }
    if !client.inspect(queue).release_unique_key(held).await? {
        let text = format!("another job holds the key {key} meanwhile: nothing was changed");
        return Err(Failure::new(Exit::Failed, text));
    }
    let mut value: Value = subject;
    value["done"] = "released".into();
    let next = held.behind.map(|behind| format!("; job {behind} is due")).unwrap_or_default();
    let line = format!("released key {key} of queue {queue}: job {job} goes on{next}");
    Ok(Report::new(value).ids([key]).line(line))
}

/// Returns what other commands take for the job that holds a key.
fn id(held: &KeyView) -> String {
    format!("{}/{}", held.job.partition, held.job.job)
}

fn behind(held: &KeyView) -> String {
    held.behind.map_or_else(|| NOTHING.to_owned(), |behind| behind.to_string())
}

fn facts(held: &KeyView) -> [(&'static str, Cell); 6] {
    [
        ("key", held.key.to_string().into()),
        ("rule", held.mode.to_string().into()),
        ("job", id(held).into()),
        ("behind", behind(held).into()),
        ("since", moment(held.since).into()),
        ("until", moment(held.until).into()),
    ]
}
