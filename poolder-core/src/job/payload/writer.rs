//! The target of the serializer of payloads: the bytes so far, and the properties of the payload.

use std::cell::Cell;

use rmp::encode;
use serde::ser;

use super::form::{MAX_DEPTH, Refusal, SECOND};

/// Writes one payload.
pub(crate) struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    /// The number of open arrays and maps.
    pub(super) depth: usize,
    /// True once the payload contains something of the [`SECOND`] encoding.
    pub(super) second: Cell<bool>,
    /// True once the payload contains something that some types cannot read.
    pub(super) doubtful: bool,
    /// The number of 128-bit integers before the one that is refused.
    wide: usize,
}

/// Appends a payload in the encoding that it needs. `true`: some types cannot read the payload, so
/// that only reading it tells. The 128-bit integer after the first `wide` ones is refused.
pub(super) fn write<'a>(
    out: &'a mut Vec<u8>,
    wide: usize,
    value: impl FnOnce(&mut Writer<'a>) -> Result<(), Refusal>,
) -> Result<bool, Refusal> {
    let start = out.len();
    let mut writer = Writer { out, depth: 0, second: Cell::new(false), doubtful: false, wide };
    value(&mut writer)?;
    let Writer { out, second, doubtful, .. } = writer;
    if second.get() {
        out.splice(start..start, SECOND);
    }
    Ok(doubtful)
}

impl<'a> Writer<'a> {
    /// Opens an array or a map.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<(), Refusal> {
        self.depth += 1;
        if self.depth <= MAX_DEPTH {
            return Ok(());
        }
        Err(ser::Error::custom(format_args!(
            "lists, maps and structs are nested more than {MAX_DEPTH} deep, which no worker reads: \
             store the inner part as text (serde_json::to_string)"
        )))
    }

    /// Writes the header of an array or a map. Writing into a `Vec` does not fail.
    #[inline]
    pub(super) fn header(&mut self, map: bool, len: usize) -> Result<(), Refusal> {
        if len < 16 {
            // The short form, without the detour that `rmp` takes for any writer.
            self.out.push(if map { 0x80 } else { 0x90 } | len as u8);
            return Ok(());
        }
        let len = u32::try_from(len).map_err(ser::Error::custom)?;
        let written = match map {
            true => encode::write_map_len(self.out, len),
            false => encode::write_array_len(self.out, len),
        };
        written.map(drop).map_err(ser::Error::custom)
    }

    /// Begins the variant of an enum: a map of one entry.
    #[inline]
    pub(super) fn variant(&mut self, variant: &str) -> Result<(), Refusal> {
        self.enter()?;
        self.header(true, 1)?;
        self.text(variant)
    }

    /// Writes a 128-bit integer.
    pub(super) fn wide(&mut self, bytes: [u8; 16]) -> Result<(), Refusal> {
        let Some(left) = self.wide.checked_sub(1) else {
            return Err(ser::Error::custom("a 128-bit integer"));
        };
        self.wide = left;
        self.doubtful = true;
        encode::write_bin(self.out, &bytes).map_err(ser::Error::custom)
    }

    /// Writes text.
    #[inline]
    pub(super) fn text(&mut self, text: &str) -> Result<(), Refusal> {
        match text.len() {
            len @ 0..32 => self.out.push(0xa0 | len as u8),
            len => {
                let len = u32::try_from(len).map_err(ser::Error::custom)?;
                encode::write_str_len(self.out, len).map(drop).map_err(ser::Error::custom)?;
            }
        }
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
