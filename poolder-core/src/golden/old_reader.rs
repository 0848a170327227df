//! The readers of a version that knows neither attempts nor later options, kept as they were: such a
//! node runs beside nodes of this version while a fleet is updated.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};

use super::{
    begun_counters, counters_of_a_name, counters_with_attempts, expires_at_envelope,
    expires_in_envelope, full_counters, headers_envelope, later_counters, later_envelope,
    trace_envelope,
};
use crate::job::{Failure, Lane};

#[derive(Debug, PartialEq)]
struct OldCounters {
    failures: u32,
    crashes: u32,
    deliveries: u64,
    first_failed: i64,
    home: u8,
    last_failure: Option<Failure>,
}

struct OldVisitor;

impl<'de> Visitor<'de> for OldVisitor {
    type Value = OldCounters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of counters")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<OldCounters, A::Error> {
        let missing = |index| A::Error::invalid_length(index, &self);
        let read = OldCounters {
            failures: array.next_element()?.ok_or_else(|| missing(0))?,
            crashes: array.next_element()?.ok_or_else(|| missing(1))?,
            deliveries: array.next_element()?.ok_or_else(|| missing(2))?,
            first_failed: array.next_element()?.unwrap_or_default(),
            home: array.next_element()?.unwrap_or_default(),
            last_failure: array.next_element()?.unwrap_or_default(),
        };
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(read)
    }
}

/// Some of the options that every version knows.
#[derive(Debug, PartialEq, Deserialize)]
struct OldOptions {
    #[serde(rename = "a", default)]
    attempts: Option<u32>,
    #[serde(rename = "t", default)]
    timeout: Option<u64>,
}

#[test]
fn an_old_node_reads_the_counters_that_it_knows() {
    for counters in [
        full_counters(),
        counters_with_attempts(),
        counters_of_a_name(),
        later_counters(),
        begun_counters(),
    ] {
        let bytes = counters.encode();
        let mut reader = rmp_serde::Deserializer::new(bytes.as_slice());
        reader.set_max_depth(8);
        let old = reader.deserialize_seq(OldVisitor).unwrap();
        let expected = OldCounters {
            failures: counters.failures,
            crashes: counters.crashes,
            deliveries: counters.deliveries,
            first_failed: 1_700_000_000_123,
            home: u8::try_from(Lane::High.index()).unwrap(),
            last_failure: counters.last_failure.clone(),
        };
        assert_eq!(old, expected);
    }
}

#[test]
fn an_old_node_reads_the_options_that_it_knows() {
    let known = [
        (later_envelope(), 0),
        (headers_envelope(), 30_000),
        (trace_envelope(), 30_000),
        (expires_at_envelope(), 30_000),
        (expires_in_envelope(), 30_000),
    ];
    for (envelope, timeout) in known {
        let bytes = envelope.as_bytes();
        let at = 19 + usize::from(bytes[18]) + 2;
        let mut reader = rmp_serde::Deserializer::new(&bytes[at..]);
        reader.set_max_depth(8);
        let old = OldOptions::deserialize(&mut reader).unwrap();
        assert_eq!(old, OldOptions { attempts: Some(5), timeout: Some(timeout) });
    }
}
