//! Storage of an enum as several kinds: the kind names the variant, and the payload is only the
//! content of the variant.
//!
//! `#[derive(Job)]` on an enum uses this module. The content of `Unit` is nil, that of `Newtype(x)`
//! is `x`, that of `Tuple(x, y)` an array and that of `Struct { x, y }` a map. The module wraps the
//! serializer and the deserializer of the format, which see only the content of the variant.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::U32Deserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};
use serde::ser::{self, Impossible, SerializeStruct, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::job::{Error, Format, Job, RawJob, payload};

const NOT_A_VARIANT: &str = "the type is not serialized as a plain enum; derive(Job) on an enum \
    needs serde's default representation, without tag, content, untagged, from or into";

/// Appends the content of an enum variant as MessagePack with field names. Content that some types
/// cannot read is read back.
///
/// # Errors
/// [`Error::is_codec`] when the content cannot be serialized or read back, or when `value` is not an
/// enum in serde's default representation.
pub fn encode_kind<T: Job>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    let kind = value.kind();
    let read = |payload: &[u8]| {
        let raw = RawJob { kind, version: T::VERSION, format: Format::MessagePack, payload };
        decode_kind::<T>(raw).map(drop)
    };
    payload::encode_readable(out, |writer| value.serialize(ToContent(writer)), read)
}

/// Reads the variant with this index from its content. serde counts the variants from 0.
///
/// # Errors
/// [`Error::is_codec`] when the payload is not the content of this variant, is nested too deeply or
/// is followed by further bytes, or when `T` is not an enum in serde's default representation.
pub fn decode<T: DeserializeOwned>(raw: RawJob<'_>, index: u32) -> Result<T, Error> {
    payload::decode_seed(raw, Indexed(index, PhantomData::<T>))
}

/// Reads the variant whose index is that of the payload's kind in [`Job::KINDS`].
///
/// # Errors
/// The errors of [`decode`]; also [`Error::is_codec`] for a kind that is not in [`Job::KINDS`], and
/// for a variant of another kind, which a `Deserialize` written by hand could return.
pub fn decode_kind<T: Job>(raw: RawJob<'_>) -> Result<T, Error> {
    let refuse = |why| Error::codec(format!("kind {:?} {why} {}", raw.kind, type_name::<T>()));
    let place = T::KINDS.iter().position(|kind| *kind == raw.kind);
    let index = place.ok_or_else(|| refuse("is not a kind of"))?;
    let value: T = decode(raw, index as u32)?;
    if value.kind() == raw.kind { Ok(value) } else { Err(refuse("was read as another kind of")) }
}

/// Reads a `T` as the variant with this index.
struct Indexed<T>(u32, PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Indexed<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, content: D) -> Result<T, D::Error> {
        T::deserialize(FromContent { index: self.0, content })
    }
}

/// Serializes only the content of a variant, with the wrapped serializer.
struct ToContent<S>(S);

/// Implements the methods of a serializer that only values other than enum variants call: each
/// returns an error.
macro_rules! refuse {
    ($($method:ident $(<$t:ident>)? ($($argument:ty),*) -> $ok:ty;)*) => {$(
        fn $method $(<$t: Serialize + ?Sized>)? (self, $(_: $argument),*) -> Result<$ok, S::Error> {
            Err(ser::Error::custom(NOT_A_VARIANT))
        }
    )*};
}

/// The name of an enum or of a variant.
type Name = &'static str;

impl<S: Serializer> Serializer for ToContent<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = ToContent<S::SerializeTuple>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Impossible<S::Ok, S::Error>;
    type SerializeStructVariant = ToContent<S::SerializeStruct>;

    fn serialize_unit_variant(self, _: Name, _: u32, _: Name) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: Name,
        _: u32,
        _: Name,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(self.0)
    }

    fn serialize_tuple_variant(
        self,
        _: Name,
        _: u32,
        _: Name,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.0.serialize_tuple(len).map(ToContent)
    }

    fn serialize_struct_variant(
        self,
        _: Name,
        _: u32,
        variant: Name,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.0.serialize_struct(variant, len).map(ToContent)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }

    refuse! {
        serialize_bool(bool) -> S::Ok;
        serialize_i8(i8) -> S::Ok;
        serialize_i16(i16) -> S::Ok;
        serialize_i32(i32) -> S::Ok;
        serialize_i64(i64) -> S::Ok;
        serialize_i128(i128) -> S::Ok;
        serialize_u8(u8) -> S::Ok;
        serialize_u16(u16) -> S::Ok;
        serialize_u32(u32) -> S::Ok;
        serialize_u64(u64) -> S::Ok;
        serialize_u128(u128) -> S::Ok;
        serialize_f32(f32) -> S::Ok;
        serialize_f64(f64) -> S::Ok;
        serialize_char(char) -> S::Ok;
        serialize_str(&str) -> S::Ok;
        serialize_bytes(&[u8]) -> S::Ok;
        serialize_none() -> S::Ok;
        serialize_some<T>(&T) -> S::Ok;
        serialize_newtype_struct<T>(&'static str, &T) -> S::Ok;
        serialize_unit() -> S::Ok;
        serialize_unit_struct(&'static str) -> S::Ok;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
    }
}

impl<S: SerializeTuple> ser::SerializeTupleVariant for ToContent<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_element(value)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

impl<S: SerializeStruct> ser::SerializeStructVariant for ToContent<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        self.0.serialize_field(key, value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
        self.0.skip_field(key)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

/// The content of a variant and the index of that variant.
struct FromContent<D> {
    index: u32,
    content: D,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for FromContent<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, D::Error> {
        Err(de::Error::custom(NOT_A_VARIANT))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        visitor.visit_enum(self)
    }

    fn is_human_readable(&self) -> bool {
        self.content.is_human_readable()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de, D: Deserializer<'de>> de::EnumAccess<'de> for FromContent<D> {
    type Error = D::Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), D::Error> {
        let index: U32Deserializer<D::Error> = self.index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de, D: Deserializer<'de>> de::VariantAccess<'de> for FromContent<D> {
    type Error = D::Error;

    fn unit_variant(self) -> Result<(), D::Error> {
        self.content.deserialize_any(UnitContent)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, D::Error> {
        seed.deserialize(self.content)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.content.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.content.deserialize_struct("", fields, visitor)
    }
}

/// Reads the content of a unit variant: null, or an empty map, which many producers write.
struct UnitContent;

impl<'de> Visitor<'de> for UnitContent {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null or an empty map")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match map.next_key_seed(PhantomData::<de::IgnoredAny>)? {
            None => Ok(()),
            Some(_) => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    enum Shape {
        Unit,
        Newtype(Option<Vec<u8>>),
        Tuple(u8, String),
        Struct {
            x: u8,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            y: Option<Box<Self>>,
        },
        Flat {
            x: u8,
            #[serde(flatten)]
            rest: std::collections::BTreeMap<String, u8>,
        },
    }
    use Shape::{Flat, Newtype, Struct, Tuple, Unit};

    fn raw(format: Format, payload: &[u8]) -> RawJob<'_> {
        RawJob { kind: "k", version: 1, format, payload }
    }

    fn unpack(bytes: &[u8], index: u32) -> Result<Shape, Error> {
        decode(raw(Format::MessagePack, bytes), index)
    }

    fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
        payload::encode_readable(out, |writer| value.serialize(ToContent(writer)), |_| Ok(()))
    }

    fn json(text: &str, index: u32) -> Result<Shape, Error> {
        decode(raw(Format::Json, text.as_bytes()), index)
    }

    #[test]
    fn only_the_content_is_stored_and_the_index_says_whose_it_is() {
        let flat = Flat { x: 1, rest: [("y".into(), 2)].into() };
        let shapes: [(Shape, u32, &[u8]); 7] = [
            (Unit, 0, b"\xc0"),
            (Newtype(None), 1, b"\xc0"),
            (Newtype(Some(vec![7])), 1, b"\x91\x07"),
            (Tuple(1, "a".into()), 2, b"\x92\x01\xa1a"),
            (Struct { x: 1, y: None }, 3, b"\x81\xa1x\x01"),
            (Struct { x: 1, y: Some(Box::new(Unit)) }, 3, b"\x82\xa1x\x01\xa1y\xa4Unit"),
            (flat, 4, b"\x82\xa1x\x01\xa1y\x02"),
        ];
        for (shape, index, expected) in shapes {
            let mut bytes = vec![];
            encode(&shape, &mut bytes).unwrap();
            assert_eq!(bytes, expected, "{shape:?}");
            assert_eq!(unpack(&bytes, index).unwrap(), shape);
        }
    }

    #[test]
    fn the_same_contents_are_read_from_json() {
        for (text, index, shape) in [
            ("null", 0, Unit),
            (" {} ", 0, Unit),
            ("[7]", 1, Newtype(Some(vec![7]))),
            (r#"[1,"a"]"#, 2, Tuple(1, "a".into())),
            (r#"{"x":1}"#, 3, Struct { x: 1, y: None }),
            (r#"{"x":1,"y":2}"#, 4, Flat { x: 1, rest: [("y".into(), 2)].into() }),
        ] {
            assert_eq!(json(text, index).unwrap(), shape, "{text}");
        }
    }

    #[test]
    fn another_content_and_what_follows_it_are_refused() {
        let is_codec = |read: Result<Shape, Error>| read.is_err_and(|error| error.is_codec());
        let refused = |index, texts: &[&str], packed: &[&[u8]]| {
            assert!(texts.iter().all(|text| is_codec(json(text, index))), "{texts:?} as {index}");
            assert!(packed.iter().all(|bytes| is_codec(unpack(bytes, index))), "{packed:x?}");
        };
        refused(0, &["", "[]", r#"{"x":1}"#, r#""Unit""#, "{} {}"], &[b"", b"\x81\xa1x\x01"]);
        refused(0, &["null null"], &[b"\xc0\xc0"]);
        refused(1, &["{}"], &[b"\x80"]);
        refused(2, &["[1]", r#"[1,"a",2]"#], &[b"\x91\x01", b"\x93\x01\xa1a\x02"]);
        refused(3, &["null", "{}", r#"{"x":1}}"#], &[b"\xc0"]);
        refused(5, &["null"], &[b"\xc0"]);
    }

    #[test]
    fn a_content_nested_without_end_is_an_error_not_an_abort() {
        let mut deep = vec![0x91; 10_000];
        deep.push(0xc0);
        let skipped = [b"\x82\xa1x\x01\xa1z".as_slice(), &deep].concat();
        for (bytes, n) in [(&deep, 0), (&deep, 1), (&deep, 2), (&skipped, 3)] {
            assert!(unpack(bytes, n).is_err_and(|error| error.is_codec()), "{n}");
        }
        assert!(json(&"[".repeat(10_000), 1).is_err());
        assert!(json(&format!(r#"{{"x":1,"z":{}"#, "[".repeat(10_000)), 3).is_err());
    }

    #[test]
    fn a_type_that_is_not_a_plain_enum_is_refused() {
        #[derive(Serialize, Deserialize, Debug)]
        #[serde(tag = "type")]
        enum Tagged {
            A { x: u8 },
        }
        let written = encode(&Tagged::A { x: 1 }, &mut vec![]).unwrap_err();
        let read = decode::<Tagged>(raw(Format::Json, b"null"), 0).unwrap_err();
        for error in [written, read, encode(&7, &mut vec![]).unwrap_err()] {
            assert!(error.is_codec(), "{error}");
            assert!(error.to_string().contains("serde's default representation"), "{error}");
        }
    }
}
