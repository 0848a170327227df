//! The metrics of a node, in the text format of Prometheus.

use poolder_core::history::{AttemptEnd, BUCKETS, KindSums, bucket};
use poolder_core::metrics::{Metric, MetricsText, catalogue};

use super::health::Health;
use super::status::PoolStatus;
use crate::process::meter::{QueueReading, Refusal};

/// The upper bounds of the histograms in µs: powers of two, each the end of a bucket of the meter,
/// from 1 ms to 2.4 h.
const BOUNDS: [u64; 22] = [
    1 << 10,
    1 << 12,
    1 << 14,
    1 << 15,
    1 << 16,
    1 << 17,
    1 << 18,
    1 << 19,
    1 << 20,
    1 << 21,
    1 << 22,
    1 << 23,
    1 << 24,
    1 << 25,
    1 << 26,
    1 << 27,
    1 << 28,
    1 << 29,
    1 << 30,
    1 << 31,
    1 << 32,
    1 << 33,
];

/// Writes what a node has counted, and the state of its pools.
pub(super) fn render(readings: &[QueueReading], pools: &[PoolStatus], health: &Health) -> String {
    let mut text = MetricsText::default();
    text.describe(&catalogue::ATTEMPTS);
    for (queue, kind, sums) in each_kind(readings) {
        for end in AttemptEnd::ALL {
            let times = sums.ended(end);
            if times > 0 {
                text.sample(&[queue, kind, end.as_str()], times);
            }
        }
    }
    text.describe(&catalogue::JOBS_DIED);
    for (queue, kind, sums) in each_kind(readings).filter(|(.., sums)| sums.died() > 0) {
        text.sample(&[queue, kind], sums.died());
    }
    text.describe(&catalogue::SETTLEMENTS_REFUSED);
    for reading in readings {
        // Those that have not happened are 0, so that the first one is an increase.
        for (why, times) in Refusal::ALL.into_iter().zip(reading.refused) {
            text.sample(&[&reading.queue, why.as_str()], times);
        }
    }
    histograms(
        &mut text,
        &catalogue::ATTEMPT_DURATION,
        readings,
        KindSums::run,
        KindSums::run_micros,
    );
    histograms(&mut text, &catalogue::JOB_WAIT, readings, KindSums::wait, KindSums::wait_micros);
    text.describe(&catalogue::SLOTS);
    for pool in pools {
        for (state, slots) in slots_by_state(pool) {
            text.sample(&[&pool.queue, state], slots);
        }
    }
    text.describe(&catalogue::NODE_READY);
    text.sample(&[], u32::from(health.ready));
    text.finish()
}

/// Returns the slots of a pool by their state.
pub(super) fn slots_by_state(pool: &PoolStatus) -> [(&'static str, u32); 3] {
    let free = pool.slots.saturating_sub(pool.busy);
    let (free, stopped) = if pool.running { (free, 0) } else { (0, free) };
    [("busy", pool.busy), ("free", free), ("stopped", stopped)]
}

/// Writes a histogram of each kind that has observations.
fn histograms(
    text: &mut MetricsText,
    metric: &'static Metric,
    readings: &[QueueReading],
    buckets: fn(&KindSums) -> &[u64; BUCKETS],
    micros: fn(&KindSums) -> u64,
) {
    text.describe(metric);
    for (queue, kind, sums) in each_kind(readings) {
        let counts = buckets(sums);
        let count = counts.iter().sum();
        if count > 0 {
            let sum = micros(sums) as f64 / 1e6;
            text.histogram(&[queue, kind], &cumulative(counts), count, sum);
        }
    }
}

/// Returns the bounds in seconds, each with the number of observations below it.
fn cumulative(counts: &[u64; BUCKETS]) -> [(f64, u64); BOUNDS.len()] {
    BOUNDS.map(|bound| {
        let below: u64 = counts[..bucket(bound)].iter().sum();
        (bound as f64 / 1e6, below)
    })
}

fn each_kind(readings: &[QueueReading]) -> impl Iterator<Item = (&str, &str, &KindSums)> {
    readings.iter().flat_map(|reading| {
        reading.kinds.iter().map(|kind| (&*reading.queue, &*kind.kind, &kind.sums))
    })
}

#[cfg(test)]
mod tests {
    use poolder_core::history::bucket_end;

    use super::*;
    use crate::process::meter::KindReading;

    #[test]
    fn every_bound_is_the_end_of_a_bucket() {
        for bound in BOUNDS {
            assert_eq!(bucket_end(bucket(bound) - 1), bound);
        }
    }

    #[test]
    fn a_node_writes_what_it_has_counted() {
        let mut sums = KindSums::default();
        for micros in [500, 3_000, 20_000_000_000] {
            sums.add_attempt(AttemptEnd::Done, Some(micros));
        }
        sums.add_attempt(AttemptEnd::Crashed, None);
        sums.add_death();
        sums.add_wait(2_000_000);
        let kinds = vec![
            KindReading { kind: "welcome".into(), sums },
            KindReading { kind: "unused".into(), sums: KindSums::default() },
        ];
        let readings = [QueueReading { queue: "mail".into(), kinds, refused: [3, 0] }];
        let health = Health { live: true, ready: true, reason: None };
        let text = render(&readings, &[], &health);
        for line in [
            r#"poolder_attempts_total{queue="mail",kind="welcome",outcome="done"} 3"#,
            r#"poolder_attempts_total{queue="mail",kind="welcome",outcome="crashed"} 1"#,
            r#"poolder_jobs_died_total{queue="mail",kind="welcome"} 1"#,
            r#"poolder_settlements_refused_total{queue="mail",why="fenced"} 3"#,
            r#"poolder_settlements_refused_total{queue="mail",why="epoch"} 0"#,
            r#"poolder_attempt_duration_seconds_bucket{queue="mail",kind="welcome",le="0.001024"} 1"#,
            r#"poolder_attempt_duration_seconds_bucket{queue="mail",kind="welcome",le="0.004096"} 2"#,
            r#"poolder_attempt_duration_seconds_bucket{queue="mail",kind="welcome",le="8589.934592"} 2"#,
            r#"poolder_attempt_duration_seconds_bucket{queue="mail",kind="welcome",le="+Inf"} 3"#,
            r#"poolder_attempt_duration_seconds_sum{queue="mail",kind="welcome"} 20000.0035"#,
            r#"poolder_attempt_duration_seconds_count{queue="mail",kind="welcome"} 3"#,
            r#"poolder_job_wait_seconds_sum{queue="mail",kind="welcome"} 2"#,
            "poolder_node_ready 1",
        ] {
            assert!(text.lines().any(|written| written == line), "{line}\n{text}");
        }
        assert!(!text.contains("unused"), "a kind without a job is not written");
    }
}
