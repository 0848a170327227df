//! A node whose handlers record their begin and end in the ledger, and whose settlements are
//! recorded when the server has replied.

use std::sync::Arc;
use std::time::Duration;

use poolder::prelude::*;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::SubscriberExt;

use super::{Book, Page, Worker as Instructions};
use crate::beside::Beside;
use crate::job::{Act, Step, queue};
use crate::ledger::{Ended, Ledger, Record};
use crate::ticks;

pub(super) async fn run(instructions: Instructions) -> Result<(), String> {
    let ledger = Ledger::open(&instructions.common.file()).map_err(|error| error.to_string())?;
    ledger.write(Record::Up { name: instructions.common.full_name(), pid: std::process::id() });
    listen(ledger.clone());
    let client = instructions.common.client().map_err(|error| error.to_string())?;
    let book = Arc::new(Book::new(ledger));
    let steps = Arc::clone(&book);
    let worker = worker_fn(move |job: Step, cx: Context| handle(Arc::clone(&steps), job, cx));
    let mut node =
        Node::builder(client).shutdown_timeout(Duration::from_millis(instructions.shutdown_millis));
    let queues = instructions.common.queues.max(1);
    for number in 0..queues {
        let pool = Pool::new(queue(number as u64)).size((instructions.slots / queues).max(1));
        node = node.pool(pool.worker(worker.clone()));
    }
    let Beside { ticks, batches, keys, .. } = instructions.beside;
    if ticks.is_some() {
        node = node.pool(ticks::pool(Arc::clone(&book)));
    }
    if let Some(batches) = batches {
        node = node.add(batches.batcher(Arc::clone(&book)));
    }
    if let Some(keys) = keys {
        node = node.pool(keys.pool(book));
    }
    node.run().await.map_err(|error| error.to_string())
}

async fn handle(book: Arc<Book>, job: Step, cx: Context) -> Result<Outcome> {
    let run = book.next();
    let (id, attempt, fence) = (cx.id().to_string(), cx.attempt(), cx.fence());
    book.write(Record::Start { run, seq: job.seq, job: id, attempt, fence });
    let mut page = Page::new(book, run);
    let pause = tokio::time::sleep(Duration::from_millis(job.millis));
    // Half of the handlers return when they are cancelled, the others finish if they can.
    if job.seq.is_multiple_of(2) {
        tokio::select! {
            () = pause => {}
            () = cx.cancelled() => {
                page.end(Ended::Cancelled);
                return Err("told to stop".into());
            }
        }
    } else {
        pause.await;
    }
    let (how, outcome) = match job.act {
        Act::Killer => std::process::abort(),
        Act::Fail(times) if attempt <= times => (Ended::Failed, Err("not yet".into())),
        Act::Doomed => (Ended::Failed, Err("never".into())),
        Act::Panic if attempt == 1 => {
            page.end(Ended::Failed);
            panic!("once");
        }
        Act::Snooze if fence == 1 => (Ended::Snoozed, Ok(Snooze(Duration::from_millis(200)))),
        Act::Cancel => (Ended::Done, Ok(Cancel("it says so".into()))),
        Act::Result => (Ended::Done, Ok(Outcome::DoneWith(job.seq.to_string().into_bytes()))),
        Act::Done | Act::Fail(_) | Act::Panic | Act::Snooze => (Ended::Done, Ok(Done)),
    };
    page.end(how);
    outcome
}

/// Shows logs on standard error if `POOLDER_LOG` asks for it, and records settlements.
fn listen(ledger: Ledger) {
    use tracing_subscriber::{EnvFilter, Layer};
    std::panic::set_hook(Box::new(|_| {}));
    let shown = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_filter(EnvFilter::from_env("POOLDER_LOG"));
    let noted = Settlements(ledger).with_filter(
        tracing_subscriber::filter::Targets::new().with_target(SETTLED, tracing::Level::TRACE),
    );
    let all = tracing_subscriber::registry().with(shown).with(noted);
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
