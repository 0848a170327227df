//! The bytes of a payload that are not yet read.

use rmp::Marker;
use serde::de::Error as _;
use serde::de::value::Error as Unreadable;

/// The bytes of a payload that are not yet read.
pub(super) struct Unread<'de>(pub(super) &'de [u8]);

impl<'de> Unread<'de> {
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<&'de [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(*taken)
    }

    #[inline]
    pub(super) fn peek(&self) -> Result<Marker, Unreadable> {
        self.0.first().map(|byte| Marker::from_u8(*byte)).ok_or_else(cut_short)
    }

    /// Takes the marker and the length after it, of text, bytes, an array or a map.
    #[inline]
    pub(super) fn len(&mut self) -> Result<usize, Unreadable> {
        let [marker] = self.array()?;
        Ok(match Marker::from_u8(marker) {
            Marker::FixStr(len) | Marker::FixArray(len) | Marker::FixMap(len) => len.into(),
            Marker::Str8 | Marker::Bin8 => self.array::<1>()?[0].into(),
            Marker::Str16 | Marker::Bin16 | Marker::Array16 | Marker::Map16 => {
                u16::from_be_bytes(self.array()?).into()
            }
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    /// Takes the next item when it is text.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Option<&'de str>, Unreadable> {
        match self.peek()? {
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let len = self.len()?;
                str::from_utf8(self.take(len)?).map(Some).map_err(Unreadable::custom)
            }
            _ => Ok(None),
        }
    }
}

#[cold]
pub(super) fn cut_short() -> Unreadable {
    Unreadable::custom("it is cut short")
}
