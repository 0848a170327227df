//! Hands what a node counts to the recorder of the `metrics` crate: the feature `metrics`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use poolder_core::broker::{Broker, RedisOperation, RoundTripCounts};
use poolder_core::history::{AttemptEnd, BUCKETS, KindSums, bucket_end};
use poolder_core::metrics::{MetricType, catalogue};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::node_state::NodeState;
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
}

/// The task that hands the counts over. It ends when this is dropped.
pub(crate) struct Facade {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Facade {
    /// Starts to hand over the counts of a node and of its broker.
    pub(crate) fn start(node: &Arc<NodeState>, broker: &Broker) -> Self {
        let stop = CancellationToken::new();
        broker.count_round_trips();
        let run = run(Arc::clone(node), broker.clone(), stop.clone());
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
async fn run(node: Arc<NodeState>, broker: Broker, stop: CancellationToken) {
    describe();
    let mut before = HandedOver::default();
    loop {
        let ended = tokio::time::timeout(INTERVAL, stop.cancelled()).await.is_ok();
        hand_over(&node.meter.read(), &mut before);
        hand_over_round_trips(&broker.round_trips(), &mut before.round_trips);
        for pool in node.pools() {
            let slots = |state| gauge!(catalogue::SLOTS.name, "queue" => pool.queue.clone(), "state" => state);
            slots("busy").set(pool.busy);
            slots("free").set(pool.slots.saturating_sub(pool.busy));
        }
        gauge!(catalogue::NODE_READY.name).set(u32::from(node.health().ready));
        if ended {
            return;
        }
    }
}

fn describe() {
    use catalogue::{
        ATTEMPT_DURATION, ATTEMPTS, JOB_WAIT, JOBS_DIED, NODE_READY, REDIS_ERRORS,
        REDIS_ROUND_TRIP, SETTLEMENTS_REFUSED, SLOTS,
    };
    let of_jobs = [&ATTEMPTS, &JOBS_DIED, &ATTEMPT_DURATION, &JOB_WAIT, &SETTLEMENTS_REFUSED];
    let others = [&SLOTS, &NODE_READY, &REDIS_ROUND_TRIP, &REDIS_ERRORS];
    for metric in of_jobs.into_iter().chain(others) {
        match metric.metric_type {
            MetricType::Counter => describe_counter!(metric.name, metric.help),
            MetricType::Gauge => describe_gauge!(metric.name, metric.help),
            MetricType::Histogram => describe_histogram!(metric.name, metric.help),
        }
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
        histograms: Mutex<HashMap<Key, Arc<Values>>>,
    }

    #[derive(Default)]
    struct Values(Mutex<Vec<f64>>);

    impl HistogramFn for Values {
        fn record(&self, value: f64) {
            self.0.lock().unwrap().push(value);
        }
    }

    impl Recorder for Kept {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            let mut counters = self.counters.lock().unwrap();
            Counter::from_arc(Arc::clone(counters.entry(key.clone()).or_default()))
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
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
        let counters = recorder.counters.lock().unwrap();
        let mut counts: Vec<(String, u64)> = counters
            .iter()
            .map(|(key, count)| {
                let labels: Vec<&str> = key.labels().map(metrics::Label::value).collect();
                (format!("{} {}", key.name(), labels.join(" ")), count.load(Ordering::Relaxed))
            })
            .collect();
        counts.sort();
        assert_eq!(
            counts,
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
        let counters = recorder.counters.lock().unwrap();
        let errors = counters.iter().map(|(key, count)| {
            let labels: Vec<_> = key.labels().map(metrics::Label::value).collect();
            (labels.join(" "), count.load(Ordering::Relaxed))
        });
        assert_eq!(errors.collect::<Vec<_>>(), [("claim unknown".to_owned(), 3)]);
    }
}
