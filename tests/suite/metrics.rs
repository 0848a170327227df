//! The metrics of nodes and of a namespace, held against a ledger of what has happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Backoff, Drain, NodeHandle, Policy, QueueName};
use poolder_core::Partition;
use poolder_devserver::Server;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::harness::{Number, Space, eventually, start, within};

/// The kinds of [`Many`].
macro_rules! kinds {
    ($($tens:literal)*) => {
        &[$(
            concat!("kind.", $tens, "0"), concat!("kind.", $tens, "1"),
            concat!("kind.", $tens, "2"), concat!("kind.", $tens, "3"),
            concat!("kind.", $tens, "4"), concat!("kind.", $tens, "5"),
            concat!("kind.", $tens, "6"), concat!("kind.", $tens, "7"),
            concat!("kind.", $tens, "8"), concat!("kind.", $tens, "9"),
        )*]
    };
}

/// A job of one of 200 kinds.
#[derive(Serialize, Deserialize, Clone)]
struct Many {
    kind: usize,
    number: u64,
}

impl Job for Many {
    const KINDS: &'static [&'static str] = kinds! {
        "00" "01" "02" "03" "04" "05" "06" "07" "08" "09"
        "10" "11" "12" "13" "14" "15" "16" "17" "18" "19"
    };
    const QUEUE: &'static str = "many";

    fn kind(&self) -> &'static str {
        Self::KINDS[self.kind]
    }
}

/// The samples of a text: name and labels, and the value.
struct Samples(BTreeMap<String, f64>);

impl Samples {
    fn of(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.replace("+Inf", "inf").parse().unwrap_or(f64::NAN))
        });
        Self(samples.collect())
    }

    /// Returns the sum of the samples of a metric that have all of these labels; `None` when there
    /// is no such sample.
    fn sum(&self, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let begin = format!("{metric}{{");
        let found = self.0.iter().filter(|(name, _)| {
            let has =
                |(label, value): &(&str, &str)| name.contains(&format!("{label}=\"{value}\""));
            (name.starts_with(&begin) || **name == metric) && labels.iter().all(has)
        });
        found.map(|(_, value)| *value).reduce(|sum, value| sum + value)
    }
}

/// What the handlers have done.
#[derive(Default)]
struct Ledger {
    /// Attempts that ended on the surviving node, by kind and outcome.
    survivor: BTreeMap<(String, &'static str), u64>,
    done: BTreeSet<u64>,
    retried: u64,
    died: u64,
}

const JOBS: u64 = 2_000;
/// The slots of the node that is killed, each of which holds a job then.
const HELD: usize = 8;

/// Every 10th job fails once, and every 50th for good.
fn fails(number: u64, attempt: u32) -> bool {
    number.is_multiple_of(50) || (number.is_multiple_of(10) && attempt == 1)
}

#[tokio::test]
async fn a_scrape_under_load_with_many_kinds_and_a_killed_node_agrees_with_the_ledger() {
    let space = Space::new("ledger");
    let exporter = space.client.metrics();
    space.client.process_metrics();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let (hold, held) = watch::channel(true);
    let policy = Policy::default().attempts(2).backoff(Backoff::Fixed(Duration::ZERO));
    let pool = |is_survivor: bool, size| {
        let (ledger, held) = (Arc::clone(&ledger), held.clone());
        let worker = worker_fn(move |job: Many, cx: Context| {
            let (ledger, mut held) = (Arc::clone(&ledger), held.clone());
            async move {
                if !is_survivor {
                    // It is killed while it holds its jobs.
                    let _ = held.wait_for(|held| !held).await;
                }
                let failed = fails(job.number, cx.attempt());
                let mut ledger = ledger.lock().unwrap();
                let outcome = if failed { "failed" } else { "done" };
                *ledger.survivor.entry((cx.kind().to_owned(), outcome)).or_default() += 1;
                match (failed, cx.attempt()) {
                    (false, _) => assert!(ledger.done.insert(job.number), "done twice"),
                    (true, 1) => ledger.retried += 1,
                    (true, _) => ledger.died += 1,
                }
                if failed { Err::<Outcome, BoxError>("no".into()) } else { Ok(Done) }
            }
        });
        Pool::new("many").size(size).policy(policy.clone()).worker(worker)
    };

    // The node that will be killed takes its jobs first.
    let mut builder = space.node().pool(pool(false, HELD as u16));
    let victim = builder.handle();
    let killed = tokio::spawn(builder.run_until(std::future::pending()));
    let many = (0..JOBS).map(|number| Many { kind: (number % 200) as usize, number });
    for stored in space.client.enqueue_many(many).await {
        stored.unwrap();
    }
    eventually("it holds its jobs", || async { busy(&victim) == HELD as u32 }).await;
    let before = Samples::of(&exporter.text().await.unwrap());
    let mine = [("namespace", space.name()), ("queue", "many")];
    assert_eq!(before.sum("poolder_nodes", &[("state", "live")]), Some(1.0));
    assert_eq!(before.sum("poolder_nodes_died_total", &[]), Some(0.0));
    let total = before.sum("poolder_queue_jobs", &mine);
    assert_eq!(total, Some(JOBS as f64), "each job is in one state");
    let dead = victim.status().node.unwrap();
    killed.abort();
    let _ = within(killed).await;

    // The survivor works under load while it is scraped.
    let mut builder = space.node().pool(pool(true, 16));
    let survivor = builder.handle();
    let node = start(builder);
    let roster = format!("{}:{{roster}}:nodes", space.name());
    space.redis::<f64>(redis::cmd("ZINCRBY").arg(&roster).arg(-10_000).arg(&dead)).await;
    let scraping = async {
        loop {
            let (one, other) = (survivor.metrics_text(), exporter.text().await.unwrap());
            assert!(one.contains("poolder_node_ready") && other.contains("poolder_nodes{"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let finished = eventually("everything is settled", || async {
        space.ready("many").await == 0 && space.due("many").await == 0
    });
    tokio::select! {
        () = scraping => {}
        () = finished => {}
    }
    drop(hold);
    // The exporter reads again once its text is a second old.
    eventually("the exporter has seen the end", || async {
        let after = Samples::of(&exporter.text().await.unwrap());
        after.sum("poolder_queue_jobs", &[("state", "ready")]) == Some(0.0)
            && after.sum("poolder_queue_jobs", &[("state", "running")]) == Some(0.0)
    })
    .await;
    let after = Samples::of(&exporter.text().await.unwrap());
    let ledger = std::mem::take(&mut *ledger.lock().unwrap());
    let event = |name| after.sum("poolder_queue_events_total", &[mine[1], ("event", name)]);
    assert_eq!(event("completed"), Some(ledger.done.len() as f64));
    assert_eq!(event("buried"), Some(ledger.died as f64));
    assert_eq!(event("retried"), Some(ledger.retried as f64));
    assert_eq!(event("rescued"), Some(HELD as f64));
    assert_eq!(ledger.done.len() as u64 + ledger.died, JOBS);
    let dead = after.sum("poolder_queue_jobs", &[mine[1], ("state", "dead")]);
    assert_eq!(dead, Some(ledger.died as f64));
    assert_eq!(after.sum("poolder_nodes", &[("state", "live")]), Some(1.0));
    assert_eq!(after.sum("poolder_nodes_died_total", &[]), Some(1.0));

    let node_text = Samples::of(&survivor.metrics_text());
    for ((kind, outcome), times) in &ledger.survivor {
        let labels = [("queue", "many"), ("kind", kind.as_str()), ("outcome", *outcome)];
        let counted = node_text.sum("poolder_attempts_total", &labels);
        assert_eq!(counted, Some(*times as f64), "{labels:?}");
    }
    let attempts: u64 = ledger.survivor.values().sum();
    for metric in ["poolder_attempt_duration_seconds_count", "poolder_job_wait_seconds_count"] {
        let counted = node_text.sum(metric, &[("queue", "many")]);
        assert!(counted >= Some(attempts as f64), "{metric}: {counted:?} of {attempts}");
    }
    assert_eq!(node_text.sum("poolder_jobs_died_total", &[]), Some(ledger.died as f64));
    let stored = node_text.sum("poolder_jobs_enqueued_total", &[("outcome", "stored")]);
    assert_eq!(stored, Some(JOBS as f64));
    let kinds = node_text.0.keys().filter(|name| name.contains("jobs_enqueued_total{")).count();
    assert_eq!(kinds, 200, "one for each kind");
    node.stop().await;
}

/// Returns the number of slots that run a job.
fn busy(handle: &NodeHandle) -> u32 {
    handle.status().pools.iter().map(|pool| pool.busy).sum()
}

/// A process counts its round trips from the first question on, with those of its node.
#[tokio::test]
async fn round_trips_errors_and_refused_settlements_are_counted() {
    let space = Space::new("trips");
    space.client.enqueue(Number(1)).await.unwrap();
    let text = || Samples::of(&space.client.process_metrics());
    let count = "poolder_redis_round_trip_seconds_count";
    assert_eq!(text().sum(count, &[]), None, "nothing is counted before the first question");
    let errors = |kind| text().sum("poolder_redis_errors_total", &[("op", "enqueue"), kind]);
    assert_eq!(errors(("kind", "refused")), Some(0.0));

    // Each enqueue of another queue also registers its queue.
    for number in 2..5 {
        space.client.enqueue(Number(number)).await.unwrap();
    }
    assert_eq!(text().sum(count, &[("op", "enqueue")]), Some(3.0));
    let seconds = text().sum("poolder_redis_round_trip_seconds_sum", &[("op", "enqueue")]);
    assert!(seconds > Some(0.0) && seconds < Some(60.0), "{seconds:?}");
    let lane = format!("{}:{{other.0}}:ready:normal", space.name());
    space.redis::<()>(redis::cmd("SET").arg(&lane).arg("no stream")).await;
    assert!(space.client.enqueue(Number(5)).queue("other").await.unwrap_err().is_refused());
    assert_eq!(errors(("kind", "refused")), Some(1.0));

    // The entry of a job that runs is removed, as if it had been settled before.
    let (hold, held) = watch::channel(true);
    let worker = worker_fn(move |_: Number, _| {
        let mut held = held.clone();
        async move {
            let _ = held.wait_for(|held| !held).await;
            Done
        }
    });
    let mut builder = space.node().pool(Pool::new("q").size(4).worker(worker));
    let handle = builder.handle();
    let node = start(builder);
    eventually("it runs all jobs", || async { busy(&handle) == 4 }).await;
    let lane = format!("{}:{{q.0}}:ready:normal", space.name());
    let mut first = redis::cmd("XPENDING");
    let first: Vec<(String, String, u64, u64)> =
        space.redis(first.arg(&lane).arg("workers").arg("-").arg("+").arg(1)).await;
    let mut take = redis::cmd("XACK");
    assert_eq!(space.redis::<u32>(take.arg(&lane).arg("workers").arg(&first[0].0)).await, 1);
    assert_eq!(space.redis::<u32>(redis::cmd("XDEL").arg(&lane).arg(&first[0].0)).await, 1);
    hold.send_replace(false);
    let text = || Samples::of(&handle.metrics_text());
    let refused = |why| {
        let labels = [("queue", "q"), ("why", why)];
        text().sum("poolder_settlements_refused_total", &labels)
    };
    eventually("its settlement is refused", || async { refused("fenced") == Some(1.0) }).await;
    assert_eq!(refused("epoch"), Some(0.0));
    for operation in ["claim", "beat"] {
        assert!(text().sum(count, &[("op", operation)]) > Some(0.0), "{operation}");
    }
    let waits = text().sum("poolder_redis_round_trip_seconds_sum", &[("op", "claim")]);
    eventually("it waits for jobs", || async { busy(&handle) == 0 }).await;
    assert!(waits < Some(60.0), "{waits:?}");
    node.stop().await;
}

/// The exporter reads the server at most once a second, tells when it last could, and starts again
/// by itself.
#[tokio::test]
async fn an_exporter_without_its_server_says_so_and_shows_no_old_numbers() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "blind");
    space.client.enqueue(Number(1)).await.unwrap();
    let exporter = space.client.metrics();
    assert!(exporter.blind_text().await.ends_with(&format!(
        "poolder_exporter_last_success_timestamp_seconds{{namespace=\"{}\"}} 0\n",
        space.name()
    )));
    let first = exporter.text().await.unwrap();
    space.client.enqueue(Number(2)).await.unwrap();
    assert_eq!(exporter.text().await.unwrap(), first, "it is not a second old");
    eventually("it is read again", || async {
        let jobs = Samples::of(&exporter.text().await.unwrap());
        jobs.sum("poolder_queue_jobs", &[("state", "ready")]) == Some(2.0)
    })
    .await;
    let last = Samples::of(&exporter.text().await.unwrap());
    server.pause().unwrap();
    eventually("it fails", || async { exporter.text().await.is_err() }).await;
    let blind = Samples::of(&exporter.blind_text().await);
    assert_eq!(blind.0.len(), 1);
    let metric = "poolder_exporter_last_success_timestamp_seconds";
    assert_eq!(blind.sum(metric, &[]), last.sum(metric, &[]));
    server.resume().unwrap();
    eventually("it reads again", || async { exporter.text().await.is_ok() }).await;
}

/// Rates come from looks that are some time apart, so this queue is looked at twice.
#[tokio::test]
async fn a_queue_without_workers_never_drains_and_wants_a_slot() {
    let space = Space::new("autoscale");
    let exporter = space.client.metrics();
    space.client.enqueue(Number(1)).await.unwrap();
    let load = exporter.load("q").await.unwrap().unwrap();
    assert_eq!((load.waiting, load.slots, load.slots_wanted, load.drains), (1, 0, 1, None));
    space.client.enqueue(Number(2)).await.unwrap();
    eventually("it is known to grow", || async {
        let load = exporter.load("q").await.unwrap().unwrap();
        load.drains == Some(Drain::Never) && load.waiting == 2 && load.slots_wanted == 1
    })
    .await;
    assert_eq!(exporter.load("none").await.unwrap(), None);
    let text = Samples::of(&exporter.text().await.unwrap());
    let drains = text.sum("poolder_queue_drain_seconds", &[("queue", "q")]);
    assert_eq!(drains, Some(f64::INFINITY));
}

/// A pool whose slots are led by their holders has no leader that could be missing.
#[tokio::test]
async fn leaders_and_schedules_are_shown() {
    let space = Space::new("leaders");
    let (broker, keyed) = (space.client.broker(), QueueName::new("keyed").unwrap());
    broker.register_queue(&Partition::first(keyed.clone())).await.unwrap();
    broker.define_pool(&keyed, Mode::Phash, 1).await.unwrap();
    space.client.enqueue(Number(1)).await.unwrap();
    space.client.schedule("hourly", "1h", Number(1)).queue("q").await.unwrap();
    let text = Samples::of(&space.client.metrics().text().await.unwrap());
    assert_eq!(text.sum("poolder_queue_leader", &[("queue", "q")]), Some(0.0));
    assert_eq!(text.sum("poolder_queue_leader", &[("queue", "keyed")]), None);
    let labels = [("queue", "q"), ("schedule", "hourly")];
    assert!(text.sum("poolder_schedule_next_timestamp_seconds", &labels) > Some(1.7e9));
    assert_eq!(text.sum("poolder_schedule_last_run_timestamp_seconds", &labels), None);
}
