//! A payload as a value: everything that MessagePack holds, and that JSON may lack.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A value of a payload. It is written back with the same meaning.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Nil,
    /// An option that holds something; only of nils are they told from the values inside.
    Some(Box<Self>),
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float32(f32),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    /// An extension type: the list of its number and its bytes.
    Extension(Box<Self>),
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Some(inner) => serializer.serialize_some(inner),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Uint(value) => serializer.serialize_u64(*value),
            Self::Float32(value) => serializer.serialize_f32(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::Extension(parts) => serializer
                .serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &Parts(parts)),
        }
    }
}

/// The number and the bytes of an extension type, which its serializer wants as a tuple.
struct Parts<'a>(&'a Item);

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Item::List(parts) = self.0 else { return self.0.serialize(serializer) };
        let number = match parts.first() {
            Some(Item::Int(number)) => i8::try_from(*number).unwrap_or(0),
            Some(Item::Uint(number)) => i8::try_from(*number).unwrap_or(0),
            _ => 0,
        };
        (number, parts.get(1)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

/// Implements the methods of the visitor for values without parts.
macro_rules! visits {
    ($($method:ident $type:ty => $variant:ident;)*) => {$(
        fn $method<E>(self, value: $type) -> Result<Item, E> {
            Ok(Item::$variant(value.into()))
        }
    )*};
}

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    visits! {
        visit_bool bool => Bool;
        visit_i64 i64 => Int;
        visit_u64 u64 => Uint;
        visit_f32 f32 => Float32;
        visit_f64 f64 => Float;
        visit_str &str => Text;
        visit_bytes &[u8] => Bytes;
    }

    fn visit_unit<E>(self) -> Result<Item, E> {
        Ok(Item::Nil)
    }

    fn visit_none<E>(self) -> Result<Item, E> {
        Ok(Item::Nil)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Item, D::Error> {
        inner.deserialize_any(self).map(|inner| Item::Some(Box::new(inner)))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Item, D::Error> {
        inner.deserialize_any(self).map(|parts| Item::Extension(Box::new(parts)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
        let mut list = vec![];
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Item::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Item, A::Error> {
        let mut map = vec![];
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Item::Map(map))
    }
}
