//! The commands `poolder pool …`: pools with addressed slots.

use clap::{Args, Subcommand};
use poolder_client::{Client, PoolClient};
use poolder_core::Error;
use poolder_core::broker::{PoolView, SlotView};
use serde_json::json;

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::many::Changes;
use crate::output::{Cell, NOTHING, Report, Table, Tone, count, number};

/// The commands about pools with addressed slots.
#[derive(Debug, Subcommand)]
pub(crate) enum PoolVerb {
    /// Show a pool: its mode, its size, whether it is stopped or being resized, and its nodes.
    Get {
        /// The queue of the pool.
        queue: String,
    },
    /// Show the slots of a pool: their nodes, running jobs and backlogs.
    Slots {
        /// The queue of the pool.
        queue: String,
    },
    /// Show which node and slot hold a key, the job in front, and the jobs behind it.
    Key {
        /// The queue of the pool.
        queue: String,
        /// The key.
        key: String,
    },
    /// Stop pools, or some slots of a pool, in the whole fleet: running jobs finish, and no more
    /// are claimed.
    Stop(Which),
    /// Start stopped pools, or some stopped slots of a pool.
    Start(Which),
}

/// The pools or slots that are stopped or started.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The queues of the pools.
    #[arg(required = true)]
    queues: Vec<String>,
    /// A slot, counted from 0; may be given several times [default: the whole pool].
    #[arg(long = "slot", value_name = "INDEX")]
    slots: Vec<u16>,
    #[command(flatten)]
    confirm: Confirm,
}

/// Runs the command and returns its output.
pub(crate) async fn run(common: &Common, verb: &PoolVerb) -> Result<Report, Failure> {
    let client = common.client().await?;
    match verb {
        PoolVerb::Get { queue } => {
            Ok(pool_of(queue, &pool(&client, queue).view().await.map_err(advised)?))
        }
        PoolVerb::Slots { queue } => {
            Ok(slots_of(&pool(&client, queue).slots().await.map_err(advised)?))
        }
        PoolVerb::Key { queue, key } => {
            let holder = client.who_holds(queue, key).await.map_err(advised)?;
            let slot = format!("{}.{}", holder.queue, holder.slot);
            Ok(Report::new(&holder).ids([slot]).lines(holder.to_string()))
        }
        PoolVerb::Stop(which) => change(&client, which, true).await,
        PoolVerb::Start(which) => change(&client, which, false).await,
    }
}

fn pool(client: &Client, queue: &str) -> PoolClient<()> {
    client.pool(queue)
}

fn advised(error: Error) -> Failure {
    Failure::from(error).if_not_found(
        "pools with addressed slots are registered when a node with such a pool starts",
    )
}

/// Stops pools or slots, or starts them.
async fn change(client: &Client, which: &Which, stop: bool) -> Result<Report, Failure> {
    let (verb, done) = if stop { ("stop", "stopped") } else { ("start", "started") };
    let mut changes = Changes::default();
    for queue in &which.queues {
        // A whole pool is none of its slots.
        let slots: Vec<Option<u16>> = match which.slots.as_slice() {
            [] => vec![None],
            slots => slots.iter().copied().map(Some).collect(),
        };
        for slot in slots {
            let (name, id) = match slot {
                Some(slot) => (format!("slot {slot} of pool {queue}"), format!("{queue}.{slot}")),
                None => (format!("pool {queue}"), queue.clone()),
            };
            let mut value = json!({ "queue": queue });
            if let Some(slot) = slot {
                value["slot"] = slot.into();
            }
            match change_one(&pool(client, queue), slot, stop, which.confirm.dry_run).await {
                Ok(()) if which.confirm.dry_run => {
                    changes.would(&format!("{verb} {name}"), value, id);
                }
                Ok(()) => {
                    value["done"] = done.into();
                    changes.done(value, id, format!("{done} {name}"));
                }
                Err(error) => changes.failed(advised(error)),
            }
        }
    }
    changes.report()
}

/// Stops or starts a pool or a slot; a dry run only checks that it is there.
async fn change_one(
    pool: &PoolClient<()>,
    slot: Option<u16>,
    stop: bool,
    dry_run: bool,
) -> Result<(), Error> {
    if dry_run {
        let slots = pool.view().await?.tail;
        return match slot.filter(|slot| *slot >= slots) {
            Some(slot) => Err(Error::not_found(format!("there is no slot {slot} of {slots}"))),
            None => Ok(()),
        };
    }
    match (slot, stop) {
        (None, true) => pool.stop().await,
        (None, false) => pool.start().await,
        (Some(slot), true) => pool.slot(slot).stop().await,
        (Some(slot), false) => pool.slot(slot).start().await,
    }
}

fn pool_of(queue: &str, view: &PoolView) -> Report {
    let state = match (view.stopped, view.paused) {
        (true, _) => Cell::new("stopped").tone(Tone::Warning),
        (false, true) => Cell::new("paused").tone(Tone::Warning),
        (false, false) => Cell::new("running").tone(Tone::Good),
    };
    let resize = match (view.open, view.before) {
        (true, _) => NOTHING.to_owned(),
        (false, Some(before)) => {
            format!("from {before} to {}, since generation {}", view.size, view.generation)
        }
        (false, None) => "in progress".to_owned(),
    };
    let mut value = json!(view);
    value["queue"] = queue.into();
    let table = Table::of_pairs([
        ("queue", queue.into()),
        ("state", state),
        ("mode", view.mode.as_str().into()),
        ("slots", number(view.size.into()).into()),
        ("in service", number(view.tail.into()).into()),
        ("resize", resize.into()),
        ("nodes", list(&view.members).into()),
    ]);
    Report::new(value).ids([queue]).table(table)
}

/// Returns the names with commas between them, a dash for none.
fn list(names: &[String]) -> String {
    if names.is_empty() { NOTHING.to_owned() } else { names.join(", ") }
}

fn slots_of(slots: &[SlotView]) -> Report {
    let mut table =
        Table::new(&[">SLOT", "STATE", "NODE", ">TERM", "JOB", "KIND", ">BACKLOG", ">DUE"]);
    for slot in slots {
        let state = match (slot.stopped, &slot.node, &slot.running) {
            (true, ..) => Cell::new("stopped").tone(Tone::Warning),
            (false, None, _) => Cell::new("free").tone(Tone::Bad),
            (false, Some(_), None) => Cell::new("idle").tone(Tone::Faint),
            (false, Some(_), Some(_)) => Cell::new("running").tone(Tone::Good),
        };
        let (job, kind) = match &slot.running {
            Some((job, kind)) => (job.to_string(), kind.clone()),
            None => (NOTHING.to_owned(), NOTHING.to_owned()),
        };
        table.row([
            slot.index.to_string().into(),
            state,
            slot.node.as_deref().unwrap_or(NOTHING).into(),
            number(slot.term).into(),
            job.into(),
            kind.into(),
            count(slot.backlog).into(),
            count(slot.due).into(),
        ]);
    }
    let report = Report::new(slots).ids(slots.iter().map(|slot| slot.index));
    if table.is_empty() {
        return report.note("no slots: each process of a broadcast pool has its own");
    }
    report.table(table)
}
