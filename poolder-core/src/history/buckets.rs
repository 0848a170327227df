//! The buckets into which times are counted. They are part of the stored format, so they are frozen.
//!
//! ```text
//! below 64 µs    four buckets of 16 µs
//! above          four buckets of equal width for each power of two
//! ```
//!
//! A bucket is at most 25 % wide, so that its middle is at most 12.5 % off. Times from about 9.5 hours
//! on are in the last bucket.

/// The number of buckets.
pub const BUCKETS: usize = 120;

/// The exponent of the first power of two that has four buckets.
const FIRST: u32 = 6;

/// Returns the bucket of a time in microseconds.
///
/// ```
/// use poolder_core::history::{BUCKETS, bucket};
///
/// assert_eq!((bucket(0), bucket(15), bucket(16), bucket(64)), (0, 0, 1, 4));
/// assert_eq!(bucket(u64::MAX), BUCKETS - 1);
/// ```
#[must_use]
pub const fn bucket(micros: u64) -> usize {
    if micros < 1 << FIRST {
        return (micros >> 4) as usize;
    }
    let power = micros.ilog2();
    let quarter = (micros >> (power - 2)) & 3;
    let bucket = ((power - FIRST) * 4 + 4) as usize + quarter as usize;
    if bucket < BUCKETS { bucket } else { BUCKETS - 1 }
}

/// Returns the first time in microseconds that lies above a bucket; [`u64::MAX`] for the last one.
#[must_use]
pub const fn bucket_end(bucket: usize) -> u64 {
    match bucket {
        0..=3 => (bucket as u64 + 1) << 4,
        4..BUCKETS if bucket < BUCKETS - 1 => {
            let above = bucket as u64 - 3;
            let (power, quarter) = (FIRST as u64 + above / 4, above % 4);
            (4 + quarter) << (power - 2)
        }
        _ => u64::MAX,
    }
}

/// Returns the first time in microseconds that lies in a bucket.
pub(super) const fn bucket_start(bucket: usize) -> u64 {
    if bucket == 0 {
        0
    } else {
        bucket_end(if bucket < BUCKETS { bucket - 1 } else { BUCKETS - 2 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buckets_are_frozen() {
        let cases = [
            (0, 0),
            (63, 3),
            (64, 4),
            (79, 4),
            (80, 5),
            (127, 7),
            (128, 8),
            (1_000, 19),
            (1_024, 20),
            (1_000_000, 59),
            (60_000_000, 83),
            (3_600_000_000, 106),
            (34_359_738_367, 119),
            (34_359_738_368, 119),
        ];
        for (micros, expected) in cases {
            assert_eq!(bucket(micros), expected, "{micros} µs");
        }
    }

    #[test]
    fn each_bucket_begins_where_the_one_before_ends_and_is_a_quarter_wide_at_most() {
        for number in 0..BUCKETS - 1 {
            let (start, end) = (bucket_start(number), bucket_end(number));
            assert!(
                start < end && bucket(start) == number && bucket(end - 1) == number,
                "{number}"
            );
            assert_eq!(bucket(end), number + 1);
            assert!(number < 4 || (end - start) * 4 <= start, "{number}: {start} to {end}");
        }
        assert_eq!((bucket_end(BUCKETS - 1), bucket_end(usize::MAX)), (u64::MAX, u64::MAX));
        assert_eq!(bucket_start(BUCKETS), bucket_start(BUCKETS - 1));
    }

    proptest::proptest! {
        #[test]
        fn a_time_lies_in_its_bucket(micros in 0..u64::MAX) {
            let number = bucket(micros);
            proptest::prop_assert!(bucket_start(number) <= micros && micros < bucket_end(number));
        }
    }
}
