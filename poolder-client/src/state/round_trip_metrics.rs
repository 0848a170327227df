//! Writes the counts of the round trips to Redis.

use poolder_core::broker::{RedisOperation, RoundTripCounts};
use poolder_core::metrics::{MetricsText, catalogue};

/// Writes how long the answers took, by operation, and the errors. An operation without an answer
/// has no times. Errors that have not happened are 0, so that the first one is an increase.
pub(crate) fn write(counts: &[RoundTripCounts; RedisOperation::ALL.len()], text: &mut MetricsText) {
    text.describe(&catalogue::REDIS_ROUND_TRIP);
    let bounds = RoundTripCounts::bounds();
    for (operation, counts) in RedisOperation::ALL.into_iter().zip(counts) {
        let mut below = 0;
        let buckets: Vec<(f64, u64)> = bounds
            .iter()
            .zip(counts.times)
            .map(|(bound, times)| {
                below += times;
                (bound.as_micros() as f64 / 1e6, below)
            })
            .collect();
        let count = counts.times.iter().sum();
        if count > 0 {
            text.histogram(&[operation.as_str()], &buckets, count, counts.micros as f64 / 1e6);
        }
    }
    text.describe(&catalogue::REDIS_ERRORS);
    for (operation, counts) in RedisOperation::ALL.into_iter().zip(counts) {
        for (kind, times) in RoundTripCounts::ERRORS.into_iter().zip(counts.errors) {
            text.sample(&[operation.as_str(), kind], times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_added_up_and_errors_begin_at_0() {
        let mut counts: [RoundTripCounts; RedisOperation::ALL.len()] = Default::default();
        let claim = &mut counts[RedisOperation::Claim as usize];
        (claim.times[0], claim.times[2], claim.times[18]) = (3, 2, 1);
        (claim.micros, claim.errors[1]) = (9_000_500, 7);
        let mut text = MetricsText::default();
        write(&counts, &mut text);
        let text = text.finish();
        for line in [
            r#"poolder_redis_round_trip_seconds_bucket{op="claim",le="0.000064"} 3"#,
            r#"poolder_redis_round_trip_seconds_bucket{op="claim",le="0.000128"} 3"#,
            r#"poolder_redis_round_trip_seconds_bucket{op="claim",le="0.000256"} 5"#,
            r#"poolder_redis_round_trip_seconds_bucket{op="claim",le="8.388608"} 5"#,
            r#"poolder_redis_round_trip_seconds_bucket{op="claim",le="+Inf"} 6"#,
            r#"poolder_redis_round_trip_seconds_sum{op="claim"} 9.0005"#,
            r#"poolder_redis_round_trip_seconds_count{op="claim"} 6"#,
            r#"poolder_redis_errors_total{op="claim",kind="unknown"} 7"#,
            r#"poolder_redis_errors_total{op="beat",kind="refused"} 0"#,
        ] {
            assert!(text.lines().any(|written| written == line), "{line}\n{text}");
        }
        assert!(!text.contains(r#"count{op="settle"}"#), "nothing was settled");
    }
}
