//! A node whose settlements are recorded in the ledger when the server has replied.

use std::sync::Arc;
use std::time::Duration;

use poolder::NodeBuilder;
use poolder::prelude::*;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::SubscriberExt;

use super::handler::StepWorker;
use super::{Book, Worker as Instructions};
use crate::beside::Beside;
use crate::emptied::SCHEDULE;
use crate::extremes::Extremes;
use crate::job::{Act, Step, queue};
use crate::ledger::{Ledger, Record};
use crate::uniques::Uniques;
use crate::{batches, limits, ticks};

/// The time after which an idle slot hibernates.
const HIBERNATE_AFTER: Duration = Duration::from_secs(1);

pub(super) async fn run(instructions: Instructions) -> Result<(), String> {
    let ledger = Ledger::open(&instructions.common.file()).map_err(|error| error.to_string())?;
    ledger.write(Record::Up { name: instructions.common.full_name(), pid: std::process::id() });
    listen(ledger.clone());
    let client = instructions.common.client().map_err(|error| error.to_string())?;
    let book = Arc::new(Book::new(ledger));
    let worker = StepWorker::new(Arc::clone(&book), instructions.hangs);
    let mut node =
        Node::builder(client).shutdown_timeout(Duration::from_millis(instructions.shutdown_millis));
    let queues = instructions.common.queues.max(1);
    for number in 0..queues {
        let slots = u16::try_from((instructions.slots / queues).max(1)).unwrap_or(u16::MAX);
        let mut pool = Pool::new(queue(number as u64)).size(slots);
        if instructions.beside.addressed {
            pool = pool.mode(Mode::RoundRobin);
        }
        if instructions.beside.permits > 0 {
            pool = pool.wait_permits(instructions.beside.permits);
        }
        if instructions.hangs {
            pool = pool.hibernate_after(HIBERNATE_AFTER);
        }
        node = node.pool(pool.worker(worker.clone()));
    }
    let Beside { ticks, batches: rows, keys, limits, extremes, uniques, schedule, .. } =
        instructions.beside;
    if schedule {
        let step = Step { seq: 0, act: Act::Done, millis: 0 };
        node = node.add(Crontab::new("torture").entry(SCHEDULE, "@daily", step));
    }
    if ticks.is_some() {
        node = node.pool(ticks::pool(Arc::clone(&book)));
    }
    if let Some(rows) = rows {
        if rows.dies {
            node = node.keep_dead(10_000, batches::KEPT);
        }
        node = node.add(rows.batcher(Arc::clone(&book)));
    }
    if extremes.is_some() {
        node = Extremes::pools().fold(node, NodeBuilder::pool).add(Extremes::batcher());
    }
    if let Some(limits) = limits {
        node = node.queue(limits.queue()).pool(limits.pool(Arc::clone(&book)));
    }
    if uniques.is_some() {
        node = node.pool(Uniques::pool(Arc::clone(&book)));
    }
    if let Some(keys) = keys {
        node = node.pool(keys.pool(book));
    }
    node.run().await.map_err(|error| error.to_string())
}

/// Shows logs on standard error if `POOLDER_LOG` asks for it, and records settlements.
fn listen(ledger: Ledger) {
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::{EnvFilter, LevelFilter};
    std::panic::set_hook(Box::new(|_| {}));
    // Handlers that misbehave would fill the terminal with errors.
    let wanted = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
    let shown = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_filter(wanted.with_env_var("POOLDER_LOG").from_env_lossy());
    let noted = Settlements(ledger.clone()).with_filter(
        tracing_subscriber::filter::Targets::new().with_target(SETTLED, tracing::Level::TRACE),
    );
    let corrected = limits::Corrections(ledger).with_filter(
        tracing_subscriber::filter::Targets::new()
            .with_target(limits::CORRECTED, tracing::Level::WARN),
    );
    let all = tracing_subscriber::registry().with(shown).with(noted).with(corrected);
    let _ = tracing::subscriber::set_global_default(all);
}

/// The tracing target under which a node reports the results of settlements.
const SETTLED: &str = "poolder::settled";

struct Settlements(Ledger);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Settlements {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields { job, applied, completes } = fields;
        self.0.write(Record::Settled { job, applied, completes });
    }
}

#[derive(Default)]
struct Fields {
    job: String,
    applied: bool,
    completes: bool,
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "applied" => self.applied = value,
            "completes" => self.completes = value,
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "job" {
            self.job = format!("{value:?}");
        }
    }
}
