//! MessagePack maps and arrays to which later versions add: the parts that this version does not
//! know are kept as bytes, and written back as they were.

use rmp_serde::Deserializer;
use rmp_serde::decode::ReadReader;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::job::Error;

/// The deepest nesting of a stored value. All versions refuse deeper ones.
pub(crate) const MAX_DEPTH: usize = 8;

/// The two forms that hold other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An array; its items are its elements.
    Array,
    /// A map; its items are its keys and values, in turn.
    Map,
}

impl Form {
    /// Returns the marker of a short header, which holds the length in its low four bits, and the
    /// marker of a header with a length of two bytes.
    fn markers(self) -> (u8, u8) {
        match self {
            Self::Array => (0x90, 0xdc),
            Self::Map => (0x80, 0xde),
        }
    }

    /// Appends the header of an array of `length` elements, or of a map of `length` entries. All
    /// stored forms are bounded far below 65,536 of them.
    pub(crate) fn write_header(self, length: usize, out: &mut Vec<u8>) {
        let (short, wide) = self.markers();
        match u8::try_from(length) {
            Ok(length) if length < 16 => out.push(short | length),
            _ => {
                out.push(wide);
                out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
            }
        }
    }

    /// Splits bytes into the length that their header says and the bytes after the header.
    fn read_header(self, bytes: &[u8]) -> Option<(usize, &[u8])> {
        let (short, wide) = self.markers();
        let (first, rest) = bytes.split_first()?;
        if first & 0xf0 == short {
            return Some((usize::from(first & 0x0f), rest));
        }
        if *first == wide {
            let (length, rest) = rest.split_first_chunk()?;
            return Some((usize::from(u16::from_be_bytes(*length)), rest));
        }
        // The header with a length of four bytes is no canonical form of anything that is stored.
        None
    }
}

/// An entry of a stored map.
pub(crate) struct MapEntry<'a> {
    /// The key, which must be text.
    pub(crate) key: &'a str,
    /// The bytes of the value.
    pub(crate) value: &'a [u8],
    /// The bytes of the key and the value.
    pub(crate) bytes: &'a [u8],
}

/// Reads the items of a stored array or map one by one.
pub(crate) struct Items<'a> {
    reader: Deserializer<ReadReader<&'a [u8]>>,
    left: usize,
}

impl<'a> Items<'a> {
    /// Reads the header of an array or map.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the bytes do not begin with such a header.
    pub(crate) fn new(form: Form, bytes: &'a [u8]) -> Result<Self, Error> {
        let (length, rest) = form.read_header(bytes).ok_or_else(|| {
            let form = if form == Form::Map { "a map" } else { "an array" };
            Error::codec(format!("it is not {form} of at most 65535 entries"))
        })?;
        let mut reader = Deserializer::new(rest);
        reader.set_max_depth(MAX_DEPTH);
        Ok(Self { reader, left: if form == Form::Map { 2 * length } else { length } })
    }

    /// Returns the number of items that were not yet read.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Returns the bytes after the items that were read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.reader.get_ref()
    }

    /// Reads the next item as a value.
    pub(crate) fn take<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let left = self.left.checked_sub(1).ok_or_else(|| Error::codec("it is too short"))?;
        self.left = left;
        T::deserialize(&mut self.reader).map_err(|error| Error::codec(error.to_string()))
    }

    /// Reads the next item as a value; the default when no item is left.
    pub(crate) fn take_or_default<T: DeserializeOwned + Default>(&mut self) -> Result<T, Error> {
        if self.left == 0 { Ok(T::default()) } else { self.take() }
    }

    /// Returns the bytes of the next item, and passes over it.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], Error> {
        let before = self.rest();
        self.take::<IgnoredAny>()?;
        Ok(&before[..before.len() - self.rest().len()])
    }

    /// Reads the next entry of a map.
    pub(crate) fn entry(&mut self) -> Result<MapEntry<'a>, Error> {
        let before = self.rest();
        let key = text(self.skip()?).ok_or_else(|| Error::codec("a key is not text"))?;
        let value = self.skip()?;
        Ok(MapEntry { key, value, bytes: &before[..before.len() - self.rest().len()] })
    }

    /// Checks that nothing is left.
    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.left == 0 && self.rest().is_empty() {
            return Ok(());
        }
        Err(Error::codec("bytes follow its end"))
    }
}

/// Returns the text of a stored string; `None` for any other value.
fn text(item: &[u8]) -> Option<&str> {
    let header = match item.first()? {
        0xa0..=0xbf => 1,
        0xd9 => 2,
        0xda => 3,
        0xdb => 5,
        _ => return None,
    };
    std::str::from_utf8(item.get(header..)?).ok()
}

/// Items, or entries of a map, that this version does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// The number of items or entries.
    pub(crate) count: usize,
    /// The bytes of all of them, in their order.
    pub(crate) bytes: Vec<u8>,
}

impl Unknown {
    /// Adds one item or entry.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.count += 1;
        self.bytes.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_any_kind_are_passed_over_whole() {
        let values: [&[u8]; 8] = [
            b"\xc0",
            b"\xcf\0\0\0\0\0\0\0\x01",
            b"\xc4\x02\x01\x02",
            b"\xd9\x01x",
            b"\x92\x01\x91\xc3",
            b"\x81\xa1k\xd6\x05abcd",
            b"\xc7\x03\x07abc",
            b"\xcb\x3f\xf8\0\0\0\0\0\0",
        ];
        for value in values {
            let array = [b"\x92", value, b"\x07"].concat();
            let mut items = Items::new(Form::Array, &array).unwrap();
            assert_eq!(items.skip().unwrap(), value);
            assert_eq!(items.take::<u8>().unwrap(), 7, "{value:?}");
            assert!(items.end().is_ok() && items.skip().is_err());
        }
    }

    #[test]
    fn headers_are_read_as_they_are_written() {
        for form in [Form::Array, Form::Map] {
            for length in [0, 15, 16, 300] {
                let mut bytes = vec![];
                form.write_header(length, &mut bytes);
                assert_eq!(form.read_header(&bytes), Some((length, &b""[..])));
            }
            assert!(Items::new(form, b"\xdf\xff\xff\xff\xff").is_err());
            assert!(Items::new(form, b"\x07").is_err() && Items::new(form, b"").is_err());
        }
    }

    #[test]
    fn keys_are_text_and_nothing_may_be_cut_short_or_too_deep() {
        let entry = |bytes: &'static [u8]| {
            let entry = Items::new(Form::Map, bytes).unwrap().entry()?;
            Ok::<_, Error>((entry.key, entry.value, entry.bytes))
        };
        assert_eq!(entry(b"\x81\xa1a\x07").unwrap(), ("a", &b"\x07"[..], &b"\xa1a\x07"[..]));
        assert_eq!(entry(b"\x81\xd9\x01a\x07").unwrap().0, "a");
        for bad in [&b"\x81\x01\x07"[..], b"\x81\xc4\x01a\x07", b"\x81\xa1\xff\x07", b"\x81\xa1a"] {
            assert!(entry(bad).is_err_and(|error| error.is_codec()), "{bad:?}");
        }
        assert!(entry(b"\x81\xa1a\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0").is_err());
        assert!(entry(b"\x81\xa1a\xc6\xff\xff\xff\xff").is_err(), "a length beyond the end");
    }
}
