//! The deserializer of payloads: MessagePack of both encodings, up to a depth.

use rmp::Marker;
use rmp_serde::MSGPACK_EXT_STRUCT_NAME;
use serde::de::value::{BorrowedStrDeserializer, Error as Unreadable, SeqDeserializer};
use serde::de::{self, DeserializeSeed, Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use super::form::{MAX_DEPTH, SECOND, SOMES};
use super::somes::Somes;
use super::unread::{Unread, cut_short};

/// Reads one payload.
pub(crate) struct Reader<'de> {
    rest: Unread<'de>,
    /// The number of open arrays and maps.
    depth: usize,
    /// True for the second encoding.
    second: bool,
    /// True while the key of a map is read.
    key: bool,
}

/// Implements the methods that read an integer. JSON has only text for keys, which are read as
/// integers here as well.
macro_rules! integers {
    ($($method:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
            if self.key && let Some(text) = self.rest.text()? {
                let number: $type = text.parse().map_err(Unreadable::custom)?;
                return number.into_deserializer().deserialize_any(visitor);
            }
            self.deserialize_any(visitor)
        }
    )*};
}

/// Implements the methods that read a list, which may be stored as bytes.
macro_rules! lists {
    ($($method:ident($($argument:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(
            self,
            $(_: $argument,)*
            visitor: V,
        ) -> Result<V::Value, Unreadable> {
            self.list(visitor)
        }
    )*};
}

impl<'de> Reader<'de> {
    /// Begins to read a payload.
    ///
    /// # Errors
    /// Returns an error when the encoding is not one of the two.
    #[inline]
    pub(super) fn new(payload: &'de [u8]) -> Result<Self, Unreadable> {
        let (second, rest) = match payload.strip_prefix(&SECOND) {
            Some(rest) => (true, rest),
            None if payload.starts_with(&SECOND[..1]) => {
                return Err(Unreadable::custom("a newer version has encoded it"));
            }
            None => (false, payload),
        };
        Ok(Self { rest: Unread(rest), depth: 0, second, key: false })
    }

    /// Checks that nothing follows the value.
    #[inline]
    pub(super) fn end(&self) -> Result<(), Unreadable> {
        if self.rest.0.is_empty() {
            Ok(())
        } else {
            Err(Unreadable::custom("bytes follow its end"))
        }
    }

    /// Takes an array or a map, of which all items must be read.
    #[inline]
    fn open<T>(
        &mut self,
        read: impl FnOnce(&mut Items<'_, 'de>) -> Result<T, Unreadable>,
    ) -> Result<T, Unreadable> {
        let left = self.rest.len()?;
        if self.depth == MAX_DEPTH {
            return Err(Unreadable::custom(format_args!(
                "it is nested more than {MAX_DEPTH} deep"
            )));
        }
        self.depth += 1;
        let mut items = Items { reader: self, left };
        let value = read(&mut items)?;
        let left = items.left;
        self.depth -= 1;
        if left == 0 { Ok(value) } else { Err(Unreadable::custom(TOO_LONG)) }
    }

    /// Takes the next item, whatever it is. `bytes`: a list of bytes is visited as bytes, else as a
    /// list of numbers.
    fn any<V: Visitor<'de>>(&mut self, visitor: V, bytes: bool) -> Result<V::Value, Unreadable> {
        let marker = self.rest.peek()?;
        match marker {
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let len = self.rest.len()?;
                let taken = self.rest.take(len)?;
                return match str::from_utf8(taken) {
                    Ok(text) => visitor.visit_borrowed_str(text),
                    Err(_) => visitor.visit_borrowed_bytes(taken),
                };
            }
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                return self.open(|items| visitor.visit_seq(items));
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                return self.open(|items| visitor.visit_map(items));
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let len = self.rest.len()?;
                let taken = self.rest.take(len)?;
                return match bytes {
                    true => visitor.visit_borrowed_bytes(taken),
                    false => visitor.visit_seq(SeqDeserializer::new(taken.iter().copied())),
                };
            }
            Marker::FixExt1 if self.rest.0.starts_with(&SOMES) => {
                return self.somes()?.deserialize_any(visitor);
            }
            Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32 => {
                let mut reader = rmp_serde::Deserializer::new(&mut self.rest.0);
                return reader.deserialize_any(visitor).map_err(Unreadable::custom);
            }
            _ => self.rest.0 = &self.rest.0[1..],
        }
        match marker {
            Marker::Null => visitor.visit_unit(),
            Marker::True => visitor.visit_bool(true),
            Marker::False => visitor.visit_bool(false),
            Marker::FixPos(value) => visitor.visit_u8(value),
            Marker::FixNeg(value) => visitor.visit_i8(value),
            Marker::U8 => visitor.visit_u8(u8::from_be_bytes(self.rest.array()?)),
            Marker::U16 => visitor.visit_u16(u16::from_be_bytes(self.rest.array()?)),
            Marker::U32 => visitor.visit_u32(u32::from_be_bytes(self.rest.array()?)),
            Marker::U64 => visitor.visit_u64(u64::from_be_bytes(self.rest.array()?)),
            Marker::I8 => visitor.visit_i8(i8::from_be_bytes(self.rest.array()?)),
            Marker::I16 => visitor.visit_i16(i16::from_be_bytes(self.rest.array()?)),
            Marker::I32 => visitor.visit_i32(i32::from_be_bytes(self.rest.array()?)),
            Marker::I64 => visitor.visit_i64(i64::from_be_bytes(self.rest.array()?)),
            Marker::F32 => visitor.visit_f32(f32::from_be_bytes(self.rest.array()?)),
            Marker::F64 => visitor.visit_f64(f64::from_be_bytes(self.rest.array()?)),
            _ => Err(Unreadable::custom("a byte begins no MessagePack value")),
        }
    }

    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unreadable> {
        self.any(visitor, false)
    }

    /// Takes a nil inside of options.
    fn somes(&mut self) -> Result<Somes, Unreadable> {
        let [_, _, somes] = self.rest.array()?;
        if somes == 0 {
            Err(Unreadable::custom("no option is around a nil"))
        } else {
            Ok(Somes(somes))
        }
    }

    /// Takes the 16 bytes of a 128-bit integer; `None` for a smaller integer.
    fn wide(&mut self) -> Result<Option<[u8; 16]>, Unreadable> {
        let Some(rest) = self.rest.0.strip_prefix(&[0xc4, 16]) else { return Ok(None) };
        self.rest.0 = rest;
        self.rest.array().map(Some)
    }
}

const TOO_LONG: &str = "a list or map has more elements than the type";

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unreadable;

    fn is_human_readable(&self) -> bool {
        self.second
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.any(visitor, true)
    }

    integers! {
        deserialize_bool bool;
        deserialize_i8 i8;
        deserialize_i16 i16;
        deserialize_i32 i32;
        deserialize_i64 i64;
        deserialize_u8 u8;
        deserialize_u16 u16;
        deserialize_u32 u32;
        deserialize_u64 u64;
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.wide()? {
            Some(bytes) => visitor.visit_i128(i128::from_be_bytes(bytes)),
            None => self.deserialize_i64(visitor),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.wide()? {
            Some(bytes) => visitor.visit_u128(u128::from_be_bytes(bytes)),
            None => self.deserialize_u64(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.rest.0.starts_with(&SOMES) {
            return self.somes()?.deserialize_any(visitor);
        }
        match self.rest.peek()? {
            Marker::Null => {
                self.rest.0 = &self.rest.0[1..];
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    /// Reads a unit struct, which is written as an empty array.
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        match self.rest.peek()? {
            Marker::FixArray(0) => {
                self.rest.0 = &self.rest.0[1..];
                visitor.visit_unit()
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        if name == MSGPACK_EXT_STRUCT_NAME {
            return self.deserialize_any(visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    lists! { deserialize_seq() deserialize_tuple(usize)
    deserialize_tuple_struct(&'static str, usize) }

    /// Reads the name of a variant, or a map of one variant with its content.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        match self.rest.peek()? {
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                self.open(|items| visitor.visit_enum(items))
            }
            _ => match self.rest.text()? {
                Some(variant) => visitor.visit_enum(BorrowedStrDeserializer::new(variant)),
                None => Err(Unreadable::custom("an enum is neither a name nor a map")),
            },
        }
    }

    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit map struct identifier ignored_any
    }
}

/// The items of an open array or map.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    /// The number of elements or entries that were not yet read.
    left: usize,
}

impl<'de> Items<'_, 'de> {
    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unreadable> {
        self.reader.list(visitor)
    }
}

impl<'de> de::SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Unreadable;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unreadable> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.reader.rest.0.len()))
    }
}

impl<'de> de::MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Unreadable;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unreadable> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.reader.key = true;
        let key = seed.deserialize(&mut *self.reader)?;
        self.reader.key = false;
        Ok(Some(key))
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Unreadable> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.reader.rest.0.len()))
    }
}

impl<'de> de::EnumAccess<'de> for &mut Items<'_, 'de> {
    type Error = Unreadable;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), Unreadable> {
        self.left = self.left.checked_sub(1).ok_or_else(cut_short)?;
        Ok((seed.deserialize(&mut *self.reader)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Items<'_, 'de> {
    type Error = Unreadable;

    fn unit_variant(self) -> Result<(), Unreadable> {
        Deserialize::deserialize(&mut *self.reader)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, Unreadable> {
        seed.deserialize(&mut *self.reader)
    }

    lists! { tuple_variant(usize) struct_variant(&'static [&'static str]) }
}
