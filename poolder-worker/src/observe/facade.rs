//! Hands what a node counts to the recorder of the `metrics` crate: the feature `metrics`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use poolder_client::Client;
use poolder_core::broker::{RedisOperation, RoundTripCounts};
use poolder_core::history::{AttemptEnd, BUCKETS, KindSums, bucket_end};
use poolder_core::metrics::catalogue::{self, Exporter};
use poolder_core::metrics::{Metric, MetricType};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::metrics::slots_by_state;
use super::node_state::NodeState;
use super::status::PoolStatus;
use crate::process::meter::{QueueReading, Refusal};

/// How often the counts are handed over.
const INTERVAL: Duration = Duration::from_secs(1);

/// The counts that were handed over last.
#[derive(Default)]
struct HandedOver {
    /// By queue and kind.
    kinds: HashMap<(Arc<str>, Arc<str>), KindSums>,
    /// By queue.
    refused: HashMap<Arc<str>, [u64; Refusal::ALL.len()]>,
    round_trips: [RoundTripCounts; RedisOperation::ALL.len()],
    /// By queue, kind and outcome.
    enqueued: HashMap<String, HashMap<String, HashMap<&'static str, u64>>>,
}

/// The task that hands the counts over. It ends when this is dropped.
pub(crate) struct Facade {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Facade {
    /// Starts to hand over the counts of a node and of its client.
    pub(crate) fn start(node: &Arc<NodeState>, client: &Client) -> Self {
        let stop = CancellationToken::new();
        client.count_process();
        let run = run(Arc::clone(node), client.clone(), stop.clone());
        Self { stop, task: AbortOnDropHandle::new(tokio::spawn(run)) }
    }

    /// Hands over the last counts, and waits for the end of the task.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

/// Hands the counts over once a second, and once more when it is stopped. Jobs are not slowed down
/// by the recorder. Durations arrive as the middle of their bucket, at most 12.5 % off.
async fn run(node: Arc<NodeState>, client: Client, stop: CancellationToken) {
    describe();
    let mut before = HandedOver::default();
    loop {
        let ended = tokio::time::timeout(INTERVAL, stop.cancelled()).await.is_ok();
        hand_over(&node.meter.read(), &mut before);
        hand_over_round_trips(&client.broker().round_trips(), &mut before.round_trips);
        hand_over_enqueues(|each| client.each_enqueue_count(each), &mut before);
        hand_over_gauges(&node.pools(), node.health().ready);
        if ended {
            return;
        }
    }
}

/// Returns the metrics that are handed over: all of a process.
fn handed_over() -> impl Iterator<Item = &'static Metric> {
    catalogue::ALL.iter().copied().filter(|metric| metric.exporter == Exporter::Process)
}

fn describe() {
    for metric in handed_over() {
        match metric.metric_type {
            MetricType::Counter => describe_counter!(metric.name, metric.help),
            MetricType::Gauge => describe_gauge!(metric.name, metric.help),
            MetricType::Histogram => describe_histogram!(metric.name, metric.help),
        }
    }
}

fn hand_over_gauges(pools: &[PoolStatus], ready: bool) {
    for pool in pools {
        let (slots, labels) = (slots_by_state(pool), |state| {
            [("queue", pool.queue.clone()), ("state", String::from(state))]
        });
        for (state, slots) in slots {
            gauge!(catalogue::SLOTS.name, &labels(state)).set(slots);
        }
    }
    gauge!(catalogue::NODE_READY.name).set(u32::from(ready));
}

/// Hands over the enqueues since the last time. The recorder is called once `each` has ended: it is
/// code of the user, which may enqueue.
fn hand_over_enqueues(
    each: impl FnOnce(&mut dyn FnMut(&str, &str, &'static str, u64)),
    before: &mut HandedOver,
) {
    let mut new = vec![];
    each(&mut |queue, kind, outcome, times| {
        if !before.enqueued.contains_key(queue) {
            before.enqueued.insert(queue.to_owned(), HashMap::new());
        }
        let Some(kinds) = before.enqueued.get_mut(queue) else { return };
        if !kinds.contains_key(kind) {
            kinds.insert(kind.to_owned(), HashMap::new());
        }
        let Some(known) = kinds.get_mut(kind) else { return };
        let known = known.entry(outcome).or_default();
        let added = times - std::mem::replace(known, times);
        if added > 0 {
            let labels = [("queue", queue), ("kind", kind), ("outcome", outcome)];
            new.push((labels.map(|(name, value)| (name, value.to_owned())), added));
        }
    });
    for (labels, added) in new {
        counter!(catalogue::JOBS_ENQUEUED.name, &labels).increment(added);
    }
}

/// Hands over what was counted since the last time.
fn hand_over(readings: &[QueueReading], before: &mut HandedOver) {
    for reading in readings {
        for kind in &reading.kinds {
            let labels = [("queue", reading.queue.to_string()), ("kind", kind.kind.to_string())];
            let key = (Arc::clone(&reading.queue), Arc::clone(&kind.kind));
            let known = before.kinds.entry(key).or_default();
            let new = kind.sums.since(known);
            if new.is_zero() {
                continue;
            }
            for end in AttemptEnd::ALL {
                let times = new.ended(end);
                if times > 0 {
                    let [queue, kind] = labels.clone();
                    let all = [queue, kind, ("outcome", end.as_str().to_owned())];
                    counter!(catalogue::ATTEMPTS.name, &all).increment(times);
                }
            }
            if new.died() > 0 {
                counter!(catalogue::JOBS_DIED.name, &labels).increment(new.died());
            }
            for (metric, counts) in
                [(&catalogue::ATTEMPT_DURATION, new.run()), (&catalogue::JOB_WAIT, new.wait())]
            {
                let histogram = histogram!(metric.name, &labels);
                for (seconds, times) in observations(counts) {
                    histogram.record_many(seconds, times);
                }
            }
            *known = kind.sums.clone();
        }
        let known = before.refused.entry(Arc::clone(&reading.queue)).or_default();
        for ((why, times), known) in Refusal::ALL.into_iter().zip(reading.refused).zip(known) {
            let new = times - std::mem::replace(known, times);
            if new > 0 {
                let labels = [("queue", reading.queue.to_string()), ("why", why.as_str().into())];
                counter!(catalogue::SETTLEMENTS_REFUSED.name, &labels).increment(new);
            }
        }
    }
}

/// Hands over the round trips since the last time. Their times arrive as the middle between two
/// bounds.
fn hand_over_round_trips(
    counts: &[RoundTripCounts; RedisOperation::ALL.len()],
    before: &mut [RoundTripCounts; RedisOperation::ALL.len()],
) {
    let bounds = RoundTripCounts::bounds().map(|bound| bound.as_secs_f64());
    for ((operation, counts), before) in RedisOperation::ALL.into_iter().zip(counts).zip(before) {
        let new = counts.since(before);
        let histogram = histogram!(catalogue::REDIS_ROUND_TRIP.name, "op" => operation.as_str());
        for (at, times) in new.times.into_iter().enumerate().filter(|(_, times)| *times > 0) {
            let begin = at.checked_sub(1).map_or(0.0, |at| bounds[at]);
            // The last times have no bound.
            let end = bounds.get(at).copied().unwrap_or(begin);
            let times = usize::try_from(times).unwrap_or(usize::MAX);
            histogram.record_many((begin + end) / 2.0, times);
        }
        for (kind, times) in RoundTripCounts::ERRORS.into_iter().zip(new.errors) {
            if times > 0 {
                let labels = [("op", operation.as_str()), ("kind", kind)];
                counter!(catalogue::REDIS_ERRORS.name, &labels).increment(times);
            }
        }
        *before = counts.clone();
    }
}

/// Returns the middle of each bucket that has observations, in seconds, and their number.
fn observations(counts: &[u64; BUCKETS]) -> impl Iterator<Item = (f64, usize)> {
    let filled = counts.iter().enumerate().filter(|(_, times)| **times > 0);
    filled.map(|(bucket, times)| {
        let begin = bucket.checked_sub(1).map_or(0, bucket_end);
        // The last bucket has no end.
        let end = if bucket + 1 < BUCKETS { bucket_end(bucket) } else { begin };
        let seconds = (begin as f64 + end as f64) / 2e6;
        (seconds, usize::try_from(*times).unwrap_or(usize::MAX))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    use metrics::{
        Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString,
        Unit,
    };

    use super::*;
    use crate::process::meter::KindReading;

    /// A recorder that keeps what it is given.
    #[derive(Default)]
    struct Kept {
        counters: Mutex<HashMap<Key, Arc<AtomicU64>>>,
        gauges: Mutex<Vec<Key>>,
        histograms: Mutex<HashMap<Key, Arc<Values>>>,
        described: Mutex<BTreeSet<String>>,
    }

    impl Kept {
        /// Returns the metrics that were handed over, with the names of their labels.
        fn names(&self) -> BTreeSet<(String, Vec<String>)> {
            let (counters, gauges, histograms) = (
                self.counters.lock().unwrap(),
                self.gauges.lock().unwrap(),
                self.histograms.lock().unwrap(),
            );
            let keys = counters.keys().chain(&*gauges).chain(histograms.keys());
            let labels = |key: &Key| key.labels().map(|label| label.key().to_owned()).collect();
            keys.map(|key| (key.name().to_owned(), labels(key))).collect()
        }

        /// Returns the values of the counters of a metric, with their labels.
        fn counts(&self) -> Vec<(String, u64)> {
            let counters = self.counters.lock().unwrap();
            let mut counts: Vec<(String, u64)> = counters
                .iter()
                .map(|(key, count)| {
                    let labels: Vec<&str> = key.labels().map(metrics::Label::value).collect();
                    (format!("{} {}", key.name(), labels.join(" ")), count.load(Ordering::Relaxed))
                })
                .collect();
            counts.sort();
            counts
        }
    }

    #[derive(Default)]
    struct Values(Mutex<Vec<f64>>);

    impl HistogramFn for Values {
        fn record(&self, value: f64) {
            self.0.lock().unwrap().push(value);
        }
    }

    impl Recorder for Kept {
        fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
            self.described.lock().unwrap().insert(name.as_str().to_owned());
        }
        fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
            self.describe_counter(name, unit, help);
        }
        fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
            self.describe_counter(name, unit, help);
        }
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            let mut counters = self.counters.lock().unwrap();
            Counter::from_arc(Arc::clone(counters.entry(key.clone()).or_default()))
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            self.gauges.lock().unwrap().push(key.clone());
            Gauge::noop()
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            let mut histograms = self.histograms.lock().unwrap();
            Histogram::from_arc(Arc::clone(histograms.entry(key.clone()).or_default()))
        }
    }

    fn reading(sums: &KindSums) -> Vec<QueueReading> {
        let kinds = vec![KindReading { kind: "welcome".into(), sums: sums.clone() }];
        vec![QueueReading { queue: "mail".into(), kinds, refused: [0, 2] }]
    }

    #[test]
    fn only_what_is_new_is_handed_over() {
        let (recorder, mut before, mut sums) =
            (Kept::default(), HandedOver::default(), KindSums::default());
        sums.add_attempt(AttemptEnd::Done, Some(1_000_000));
        sums.add_attempt(AttemptEnd::Done, Some(1_000_000));
        metrics::with_local_recorder(&recorder, || {
            hand_over(&reading(&sums), &mut before);
            hand_over(&reading(&sums), &mut before);
            sums.add_attempt(AttemptEnd::Failed, Some(2_000_000));
            hand_over(&reading(&sums), &mut before);
        });
        assert_eq!(
            recorder.counts(),
            [
                ("poolder_attempts_total mail welcome done".to_owned(), 2),
                ("poolder_attempts_total mail welcome failed".to_owned(), 1),
                ("poolder_settlements_refused_total mail epoch".to_owned(), 2),
            ]
        );
        let histograms = recorder.histograms.lock().unwrap();
        let (_, times) = histograms
            .iter()
            .find(|(key, _)| key.name() == "poolder_attempt_duration_seconds")
            .unwrap();
        let times = times.0.lock().unwrap();
        assert_eq!(times.len(), 3);
        for (seen, real) in times.iter().zip([1.0, 1.0, 2.0]) {
            assert!((seen / real - 1.0_f64).abs() <= 0.125, "{seen} for {real}");
        }
    }

    #[test]
    fn only_new_round_trips_are_handed_over() {
        let recorder = Kept::default();
        let mut counts: [RoundTripCounts; RedisOperation::ALL.len()] = Default::default();
        let mut before = counts.clone();
        let claims = &mut counts[RedisOperation::Claim as usize];
        (claims.times[1], claims.errors[1]) = (2, 3);
        metrics::with_local_recorder(&recorder, || {
            hand_over_round_trips(&counts, &mut before);
            counts[RedisOperation::Claim as usize].times[18] += 1;
            hand_over_round_trips(&counts, &mut before);
        });
        let histograms = recorder.histograms.lock().unwrap();
        let claims =
            histograms.iter().find(|(key, _)| key.labels().any(|it| it.value() == "claim"));
        assert_eq!(*claims.unwrap().1.0.lock().unwrap(), [0.000_096, 0.000_096, 8.388_608]);
        let errors = ("poolder_redis_errors_total claim unknown".to_owned(), 3);
        assert_eq!(recorder.counts(), [errors]);
    }

    #[test]
    fn only_new_enqueues_are_handed_over() {
        let (recorder, mut before) = (Kept::default(), HandedOver::default());
        let name = |outcome| format!("poolder_jobs_enqueued_total mail welcome {outcome}");
        metrics::with_local_recorder(&recorder, || {
            for times in [2, 2, 5] {
                let each = |each: &mut dyn FnMut(&str, &str, &'static str, u64)| {
                    each("mail", "welcome", "stored", times);
                    each("mail", "welcome", "refused", 1);
                };
                hand_over_enqueues(each, &mut before);
            }
        });
        assert_eq!(recorder.counts(), [(name("refused"), 1), (name("stored"), 5)]);
    }

    #[test]
    fn every_metric_of_a_process_is_described_and_handed_over() {
        let (recorder, mut before, mut sums) =
            (Kept::default(), HandedOver::default(), KindSums::default());
        sums.add_attempt(AttemptEnd::Done, Some(1_000_000));
        sums.add_wait(1_000);
        sums.add_death();
        let mut trips: [RoundTripCounts; RedisOperation::ALL.len()] = Default::default();
        (trips[0].times[1], trips[0].errors[1]) = (1, 1);
        let pool = PoolStatus {
            queue: "mail".into(),
            mode: poolder_core::policy::dispatch::Mode::Shared,
            size: 1,
            running: true,
            slots: 1,
            busy: 0,
        };
        metrics::with_local_recorder(&recorder, || {
            describe();
            hand_over(&reading(&sums), &mut before);
            hand_over_round_trips(&trips, &mut before.round_trips);
            hand_over_enqueues(|each| each("mail", "welcome", "stored", 1), &mut before);
            hand_over_gauges(&[pool], true);
        });
        let owned = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
        let all: BTreeSet<(String, Vec<String>)> =
            handed_over().map(|metric| (metric.name.to_owned(), owned(metric.labels))).collect();
        assert_eq!(recorder.names(), all);
        let described = recorder.described.lock().unwrap();
        assert!(described.iter().eq(all.iter().map(|(name, _)| name)), "{described:?}");
    }
}
