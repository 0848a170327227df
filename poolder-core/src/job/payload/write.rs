//! The serializer of payloads: MessagePack with field names.
//!
//! The bytes are those of `rmp_serde` with named fields, with two additions, which the reader of
//! the same folder understands and which mark the payload as of the second encoding: types that
//! have a form for people, such as `Uuid` and `IpAddr`, take this form, and a `Some` around nothing
//! is kept. Errors name the field.

use rmp::encode;
use rmp_serde::MSGPACK_EXT_STRUCT_NAME;
use serde::{Serialize, Serializer, ser};

use super::form::{NIL, PathStep, Refusal, SOMES};
use super::writer::Writer;

impl<'a> Writer<'a> {
    #[inline]
    fn open<'w>(
        &'w mut self,
        map: bool,
        len: Option<usize>,
        variant: Option<&'static str>,
    ) -> Result<Compound<'w, 'a>, Refusal> {
        self.enter()?;
        let start = self.out.len();
        if let Some(len) = len {
            self.header(map, len)?;
        }
        Ok(Compound { writer: self, map, len, variant, start, key: start, count: 0 })
    }
}

/// Implements methods that write one value with a function of `rmp`.
macro_rules! values {
    ($($method:ident $type:ty => $write:ident as $wide:ty;)*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<(), Refusal> {
            let written = encode::$write(self.out, <$wide>::from(value));
            written.map(drop).map_err(ser::Error::custom)
        }
    )*};
}

/// The name of a type or variant.
type Name = &'static str;

impl<'w, 'a> Serializer for &'w mut Writer<'a> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Compound<'w, 'a>;
    type SerializeTuple = Compound<'w, 'a>;
    type SerializeTupleStruct = Compound<'w, 'a>;
    type SerializeTupleVariant = Compound<'w, 'a>;
    type SerializeMap = Compound<'w, 'a>;
    type SerializeStruct = Compound<'w, 'a>;
    type SerializeStructVariant = Compound<'w, 'a>;

    values! {
        serialize_i8 i8 => write_sint as i64;
        serialize_i16 i16 => write_sint as i64;
        serialize_i32 i32 => write_sint as i64;
        serialize_i64 i64 => write_sint as i64;
        serialize_u8 u8 => write_uint as u64;
        serialize_u16 u16 => write_uint as u64;
        serialize_u32 u32 => write_uint as u64;
        serialize_u64 u64 => write_uint as u64;
        serialize_f32 f32 => write_f32 as f32;
        serialize_f64 f64 => write_f64 as f64;
        serialize_bytes &[u8] => write_bin as &[u8];
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<(), Refusal> {
        self.text(text)
    }

    fn serialize_bool(self, value: bool) -> Result<(), Refusal> {
        encode::write_bool(self.out, value).map_err(ser::Error::custom)
    }

    fn serialize_i128(self, value: i128) -> Result<(), Refusal> {
        self.wide(value.to_be_bytes())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Refusal> {
        self.wide(value.to_be_bytes())
    }

    fn serialize_char(self, value: char) -> Result<(), Refusal> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_none(self) -> Result<(), Refusal> {
        self.serialize_unit()
    }

    /// Keeps the number of `Some` around a nil, which would be read as `None`.
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        let start = self.out.len();
        value.serialize(&mut *self)?;
        let somes = match self.out[start..] {
            [NIL] => 1,
            [a, b, somes] if [a, b] == SOMES => somes.checked_add(1).ok_or_else(|| {
                <Refusal as ser::Error>::custom("more than 255 options are nested around nothing")
            })?,
            _ => return Ok(()),
        };
        self.second.set(true);
        self.out.truncate(start);
        self.out.extend(SOMES);
        self.out.push(somes);
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Refusal> {
        self.out.push(NIL);
        Ok(())
    }

    fn serialize_unit_struct(self, _: Name) -> Result<(), Refusal> {
        self.header(false, 0)
    }

    fn serialize_unit_variant(self, _: Name, _: u32, variant: Name) -> Result<(), Refusal> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T>(self, name: Name, value: &T) -> Result<(), Refusal>
    where
        T: Serialize + ?Sized,
    {
        if name == MSGPACK_EXT_STRUCT_NAME {
            let mut inner = rmp_serde::Serializer::new(&mut *self.out);
            return inner.serialize_newtype_struct(name, value).map_err(ser::Error::custom);
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: Name,
        _: u32,
        variant: Name,
        value: &T,
    ) -> Result<(), Refusal> {
        self.variant(variant)?;
        value.serialize(&mut *self).map_err(|error| error.within(&PathStep::Key(variant)))?;
        self.depth -= 1;
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'w, 'a>, Refusal> {
        self.open(false, len, None)
    }

    fn serialize_tuple(self, len: usize) -> Result<Compound<'w, 'a>, Refusal> {
        self.open(false, Some(len), None)
    }

    fn serialize_tuple_struct(self, _: Name, len: usize) -> Result<Compound<'w, 'a>, Refusal> {
        self.open(false, Some(len), None)
    }

    fn serialize_tuple_variant(
        self,
        _: Name,
        _: u32,
        variant: Name,
        len: usize,
    ) -> Result<Compound<'w, 'a>, Refusal> {
        self.variant(variant)?;
        self.open(false, Some(len), Some(variant))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'w, 'a>, Refusal> {
        // A struct with flattened fields has no length. It may contain a name twice.
        self.doubtful |= len.is_none();
        self.open(true, len, None)
    }

    fn serialize_struct(self, _: Name, len: usize) -> Result<Compound<'w, 'a>, Refusal> {
        self.open(true, Some(len), None)
    }

    fn serialize_struct_variant(
        self,
        _: Name,
        _: u32,
        variant: Name,
        len: usize,
    ) -> Result<Compound<'w, 'a>, Refusal> {
        self.variant(variant)?;
        self.open(true, Some(len), Some(variant))
    }

    /// Tagged, untagged and flattened types are always read as for people, so that all types are
    /// written so.
    fn is_human_readable(&self) -> bool {
        self.second.set(true);
        true
    }
}

/// An array or a map that is being written.
pub(crate) struct Compound<'w, 'a> {
    writer: &'w mut Writer<'a>,
    map: bool,
    /// The length in the header, which is written; `None`: the header follows at the end.
    len: Option<usize>,
    /// The variant of an enum whose content this is.
    variant: Option<&'static str>,
    /// Where the header belongs.
    start: usize,
    /// Where the last key begins.
    key: usize,
    /// The number of elements or entries so far.
    count: usize,
}

impl Compound<'_, '_> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        let written = value.serialize(&mut *self.writer);
        written
            .map_err(|error| error.within(&PathStep::Index(self.count)).within_any(self.variant))?;
        self.count += 1;
        Ok(())
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Refusal> {
        self.writer.serialize_str(key)?;
        let written = value.serialize(&mut *self.writer);
        written.map_err(|error| error.within(&PathStep::Key(key)).within_any(self.variant))?;
        self.count += 1;
        Ok(())
    }

    #[inline]
    fn finish(self) -> Result<(), Refusal> {
        let writer = self.writer;
        writer.depth -= 1 + usize::from(self.variant.is_some());
        match self.len {
            Some(len) if len == self.count => Ok(()),
            Some(len) => Err(ser::Error::custom(format_args!(
                "its Serialize announces {len} elements and writes {}: correct the implementation",
                self.count
            ))),
            None => {
                let end = writer.out.len();
                writer.header(self.map, self.count)?;
                let header = writer.out.len() - end;
                writer.out[self.start..].rotate_right(header);
                Ok(())
            }
        }
    }
}

/// Implements the traits of arrays.
macro_rules! arrays {
    ($($name:ident $method:ident;)*) => {$(
        impl ser::$name for Compound<'_, '_> {
            type Ok = ();
            type Error = Refusal;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
                self.element(value)
            }

            fn end(self) -> Result<(), Refusal> {
                self.finish()
            }
        }
    )*};
}

arrays! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

/// Implements the traits of structs.
macro_rules! structs {
    ($($name:ident)*) => {$(
        impl ser::$name for Compound<'_, '_> {
            type Ok = ();
            type Error = Refusal;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Refusal> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), Refusal> {
                self.finish()
            }
        }
    )*};
}

structs! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refusal> {
        self.key = self.writer.out.len();
        key.serialize(&mut *self.writer)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        let end = self.writer.out.len();
        value.serialize(&mut *self.writer).map_err(|error| {
            let key = rmp_serde::from_slice::<&str>(&self.writer.out[self.key..end]);
            error.within(&key.map_or(PathStep::Index(self.count), PathStep::Key))
        })?;
        self.count += 1;
        Ok(())
    }

    fn end(self) -> Result<(), Refusal> {
        self.finish()
    }
}
