//! The commands `poolder batch …`: batchers, the lists that gather, and the batches that were
//! sealed.

use clap::Subcommand;
use futures_util::future::try_join_all;
use poolder_client::words::{many, many_do};
use poolder_client::{BatcherHandle, BatcherView, Client};
use poolder_core::Error;
use poolder_core::broker::BatcherSums;
use serde_json::{Value, json};

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::many::would_change;
use crate::output::{NOTHING, Report, Table, bytes, count, duration, number};

/// The most lists, and the most sealed batches, that are shown.
const MOST: usize = 100;

/// The commands about batchers.
#[derive(Debug, Subcommand)]
pub(crate) enum BatchVerb {
    /// Show batchers with their sums.
    Ls {
        /// The batchers [default: those of living nodes, those with batches, and those that have the
        /// name of their queue and have had entries].
        #[arg(value_name = "BATCHER")]
        batchers: Vec<Name>,
    },
    /// Show the lists of a batcher that gather entries, and its sealed batches.
    Get {
        /// The batcher: its name, or queue/name where the queue has another name.
        batcher: Name,
    },
    /// Explain why the entries of a batcher, or of one of its groups, are not handled. Exits with 6
    /// when they are not until a person acts.
    Explain {
        /// The batcher: its name, or queue/name where the queue has another name.
        batcher: Name,
        /// The group [default: the list without a group].
        group: Option<String>,
    },
    /// Seal the batch of a batcher, or of one of its groups, without waiting for its limits.
    Flush {
        /// The batcher: its name, or queue/name where the queue has another name.
        batcher: Name,
        /// The group [default: the list without a group].
        group: Option<String>,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Take an entry out of the list of a batcher, or of one of its groups, and write it. It is never
    /// handled then.
    Pop {
        /// The batcher: its name, or queue/name where the queue has another name.
        batcher: Name,
        /// The group [default: the list without a group].
        group: Option<String>,
        /// The place of the entry, counted from 0.
        #[arg(long, value_name = "N")]
        index: u64,
        #[command(flatten)]
        confirm: Confirm,
    },
}

/// The name of a batcher, and of its queue.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    queue: String,
    name: String,
}

impl std::str::FromStr for Name {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (queue, name) = text.split_once('/').unwrap_or((text, text));
        Ok(Self { queue: queue.to_owned(), name: name.to_owned() })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.queue == self.name {
            true => f.write_str(&self.name),
            false => write!(f, "{}/{}", self.queue, self.name),
        }
    }
}

/// Runs the command and returns its output.
pub(crate) async fn run(common: &Common, verb: &BatchVerb) -> Result<Report, Failure> {
    let client = common.client().await?;
    match verb {
        BatchVerb::Ls { batchers } => list(&client, batchers).await,
        BatchVerb::Get { batcher } => get(&client, batcher).await,
        BatchVerb::Explain { batcher, group } => {
            let group = group.as_deref().unwrap_or_default();
            let explained = client.explain_batch(&batcher.queue, &batcher.name, group).await?;
            Ok(crate::explain::report(&explained))
        }
        BatchVerb::Flush { batcher, group, confirm } => {
            flush(&client, batcher, group.as_deref(), *confirm).await
        }
        BatchVerb::Pop { batcher, group, index, confirm } => {
            let group = group.as_deref().unwrap_or_default();
            pop(&client, batcher, (group, *index), *confirm).await
        }
    }
}

fn handle(client: &Client, name: &Name) -> BatcherHandle<Value> {
    client.batcher_on(&name.queue, &name.name)
}

async fn list(client: &Client, named: &[Name]) -> Result<Report, Failure> {
    let sums: Vec<(Name, BatcherSums)> = match named {
        [] => {
            let named =
                |of: BatcherView| (Name { queue: of.queue.to_string(), name: of.name }, of.sums);
            client.batchers().await?.into_iter().map(named).collect()
        }
        named => {
            let read = client.read_together(|client| async move {
                let sums = named.iter().map(|name| {
                    let batcher = handle(&client, name);
                    async move { Ok::<_, Error>((name.clone(), batcher.sums().await?)) }
                });
                try_join_all(sums).await
            });
            read.await?
        }
    };
    let mut table = Table::new(&[
        "BATCHER",
        ">GATHERING",
        ">WAITING",
        ">SEALED",
        ">ENTRIES",
        ">DONE",
        ">RETRIED",
        ">DEAD",
    ]);
    for (name, sums) in &sums {
        table.row([
            name.to_string().into(),
            count(sums.open).into(),
            count(sums.waiting).into(),
            count(sums.sealed).into(),
            count(sums.sealed_entries).into(),
            count(sums.totals.completed).into(),
            count(sums.totals.retried).into(),
            count(sums.totals.dead).into(),
        ]);
    }
    let values: Vec<Value> = sums.iter().map(|(name, sums)| as_json(name, sums)).collect();
    let report = Report::new(values).ids(sums.iter().map(|(name, _)| name));
    if table.is_empty() {
        return Ok(report.note("no batchers"));
    }
    Ok(report.table(table))
}

fn as_json(name: &Name, sums: &BatcherSums) -> Value {
    let mut value = json!(sums);
    value["queue"] = name.queue.as_str().into();
    value["batcher"] = name.name.as_str().into();
    value
}

async fn get(client: &Client, name: &Name) -> Result<Report, Failure> {
    let batcher = handle(client, name);
    let sums = batcher.sums().await?;
    if !sums.was_used() {
        return Err(Failure::not_found(format!("batcher {name} has never had an entry"))
            .hint("a batcher on a queue of another name is written queue/name"));
    }
    let open = batcher.open(MOST).await?;
    let sealed = batcher.sealed(MOST).await?;
    let mut lists = Table::new(&["GROUP", ">ENTRIES", ">SIZE", ">AGE"]);
    for list in &open {
        lists.row([
            group(&list.group).into(),
            number(list.len).into(),
            bytes(list.bytes).into(),
            duration(sums.now.since(list.since)).into(),
        ]);
    }
    let mut batches = Table::new(&["BATCH", "GROUP", ">ENTRIES", "STATE", ">SEALED AGO"]);
    for batch in &sealed {
        batches.row([
            batch.job.to_string().into(),
            group(&batch.group).into(),
            number(batch.len).into(),
            format!("{:?}", batch.state).to_lowercase().into(),
            duration(sums.now.since(batch.sealed)).into(),
        ]);
    }
    let mut value = as_json(name, &sums);
    value["lists"] = json!(open);
    value["batches"] = json!(sealed);
    let sealed_batches = many(sums.sealed, "batch");
    let line = format!(
        "{name}: {}, {}, {sealed_batches} {} sealed",
        many_do(sums.waiting, "entry", "wait"),
        many_do(sums.open, "list", "gather"),
        if sums.sealed == 1 { "was" } else { "were" },
    );
    let mut report = Report::new(value).ids(sealed.iter().map(|batch| batch.job)).line(line);
    for table in [lists, batches].into_iter().filter(|table| !table.is_empty()) {
        report = report.lines("\n").table(table);
    }
    if open.len() == MOST || sealed.len() == MOST {
        report = report.note(format!("only the first {MOST} are shown"));
    }
    Ok(report)
}

fn group(name: &str) -> &str {
    if name.is_empty() { NOTHING } else { name }
}

async fn flush(
    client: &Client,
    name: &Name,
    group: Option<&str>,
    confirm: Confirm,
) -> Result<Report, Failure> {
    let group = group.unwrap_or_default();
    if confirm.dry_run {
        let open = handle(client, name).open(MOST).await?;
        let entries = open.iter().find(|list| list.group == group).map(|list| list.len);
        let subject = json!({
            "queue": name.queue, "batcher": name.name, "group": group, "entries": entries,
        });
        let of = if group.is_empty() { String::new() } else { format!("group {group} of ") };
        let with = entries.map(|it| format!(" with {}", many(it, "entry"))).unwrap_or_default();
        return Ok(would_change(&format!("seal the list of {of}{name}{with}"), subject, name));
    }
    let sealed = handle(client, name).group(group).flush().await?;
    let value = json!({
        "done": sealed.map(|_| "flushed"),
        "queue": name.queue,
        "batcher": name.name,
        "group": group,
        "job": sealed,
    });
    let report = Report::new(value).ids(sealed);
    Ok(match sealed {
        Some(job) => report.line(format!("sealed batch {job} of {name}")),
        None => report.note("no entries wait there: nothing was sealed"),
    })
}

async fn pop(
    client: &Client,
    name: &Name,
    (group, index): (&str, u64),
    confirm: Confirm,
) -> Result<Report, Failure> {
    let list = handle(client, name).group(group);
    let of = if group.is_empty() { String::new() } else { format!("group {group} of ") };
    // The entry that is shown is the one that is taken out: its list may be sealed meanwhile.
    let seen = list.list(index).await?;
    let (Some(generation), Some(entry)) = (seen.generation, seen.entries.first()) else {
        let text = format!("the list of {of}{name} has {} entries", number(seen.len));
        return Err(Failure::not_found(text));
    };
    let mut value = json!({
        "queue": name.queue, "batcher": name.name, "group": group, "index": index, "entry": entry,
    });
    if confirm.dry_run {
        let change = format!("take entry {index} out of the list of {of}{name}: {entry}");
        return Ok(would_change(&change, value, name));
    }
    let popped = list.pop(index).in_generation(generation).await?;
    value["entry"] = popped.entry;
    value["done"] = "popped".into();
    let line = format!("took entry {index} out of the list of {of}{name}: {}", value["entry"]);
    Ok(Report::new(value).ids([name]).line(line))
}
