//! The trace to which a job belongs, as W3C Trace Context names it.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Visitor};
use serde::ser::Serializer;

use crate::job::{Error, serialize_as_text};

/// The number of bytes of the stored form: trace id, span id, flags.
const STORED: usize = 25;

/// The trace context of a job: the trace, and in it the span that has sent the job. Written like the
/// header `traceparent` of [W3C Trace Context](https://www.w3.org/TR/trace-context/).
///
/// ```
/// use poolder_core::TraceParent;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: TraceParent = text.parse()?;
/// assert!(parent.is_sampled());
/// assert_eq!(parent.to_string(), text);
/// # Ok::<(), poolder_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    bytes: [u8; STORED],
}

impl TraceParent {
    /// Creates a context; `None` when one of the ids is zero, which stands for none.
    #[must_use]
    pub fn new(trace: [u8; 16], span: [u8; 8], flags: u8) -> Option<Self> {
        let mut bytes = [flags; STORED];
        bytes[..16].copy_from_slice(&trace);
        bytes[16..24].copy_from_slice(&span);
        Self::of_bytes(bytes)
    }

    fn of_bytes(bytes: [u8; STORED]) -> Option<Self> {
        let is_set = |id: &[u8]| id.iter().any(|byte| *byte != 0);
        (is_set(&bytes[..16]) && is_set(&bytes[16..24])).then_some(Self { bytes })
    }

    /// Returns the id of the trace.
    #[must_use]
    pub fn trace_id(&self) -> [u8; 16] {
        std::array::from_fn(|at| self.bytes[at])
    }

    /// Returns the id of the span that has sent the job.
    #[must_use]
    pub fn span_id(&self) -> [u8; 8] {
        std::array::from_fn(|at| self.bytes[16 + at])
    }

    /// Returns the flags; the lowest bit is set for a trace that is sampled.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.bytes[STORED - 1]
    }

    /// Returns whether the sender records the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags() & 1 == 1
    }
}

impl fmt::Display for TraceParent {
    /// Writes the value of the header `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00")?;
        for (at, byte) in self.bytes.iter().enumerate() {
            let dash = if [0, 16, 24].contains(&at) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceParent({self})")
    }
}

impl FromStr for TraceParent {
    type Err = Error;

    /// Reads the value of the header `traceparent`. Of a later version of the format the parts that
    /// this one knows are read, as W3C Trace Context asks.
    fn from_str(text: &str) -> Result<Self, Error> {
        read(text.trim()).ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            Error::invalid(format!(
                "{shown:?} is no trace parent: write 00-<32 hex digits>-<16 hex digits>-<2 hex \
                 digits>, in lower case"
            ))
        })
    }
}

impl TryFrom<&str> for TraceParent {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<String> for TraceParent {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

serialize_as_text! { TraceParent }

fn read(text: &str) -> Option<TraceParent> {
    let mut parts = text.split('-');
    let version: [u8; 1] = hex(parts.next()?)?;
    let (trace, span, flags) = (hex(parts.next()?)?, hex(parts.next()?)?, hex(parts.next()?)?);
    let (is_known, more) = (version == [0], parts.next().is_some());
    if version == [0xff] || (is_known && more) {
        return None;
    }
    let [flags] = flags;
    TraceParent::new(trace, span, flags)
}

/// Reads exactly `N` bytes of lower-case hex digits.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(bytes)
}

/// Writes the 25 bytes of a context.
pub(crate) fn write_bytes<S: Serializer>(
    parent: &Option<TraceParent>,
    writer: S,
) -> Result<S::Ok, S::Error> {
    writer.serialize_bytes(parent.as_ref().map_or(&[], |parent| &parent.bytes))
}

/// Reads the bytes of a context. Bytes that are none stand for no context: the job runs without.
pub(crate) fn read_bytes<'de, D: Deserializer<'de>>(
    reader: D,
) -> Result<Option<TraceParent>, D::Error> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = Option<TraceParent>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the bytes of a trace context")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            Ok(<[u8; STORED]>::try_from(bytes).ok().and_then(TraceParent::of_bytes))
        }
    }
    reader.deserialize_bytes(Bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_text_is_that_of_the_header() {
        let parent: TraceParent = TEXT.parse().unwrap();
        assert_eq!(parent.to_string(), TEXT);
        assert_eq!(parent.span_id(), [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert_eq!(parent.trace_id()[..2], [0x4b, 0xf9]);
        assert!(parent.is_sampled());
        let same = TraceParent::new(parent.trace_id(), parent.span_id(), parent.flags());
        assert_eq!(same, Some(parent));
    }

    #[test]
    fn a_later_version_is_read_and_anything_else_is_refused() {
        let later = TEXT.replacen("00", "01", 1) + "-more";
        assert_eq!(later.parse::<TraceParent>().unwrap().to_string(), TEXT);
        let zero = |from: &str| TEXT.replace(from, &"0".repeat(from.len()));
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            &TEXT.to_uppercase(),
            &TEXT[..TEXT.len() - 1],
            &format!("{TEXT}-more"),
            &zero("4bf92f3577b34da6a3ce929d0e0e4736"),
            &zero("00f067aa0ba902b7"),
            &TEXT.replace('b', "ü"),
            &"é".repeat(10_000),
        ] {
            let error = bad.parse::<TraceParent>().unwrap_err();
            assert!(error.is_invalid() && error.to_string().len() < 400, "{error}");
        }
    }
}
