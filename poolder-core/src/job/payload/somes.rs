//! The deserializer of a nil inside of options, which MessagePack has no form for.

use serde::de::Visitor;
use serde::de::value::Error as Unreadable;
use serde::{Deserializer, forward_to_deserialize_any};

/// A nil inside of this many options.
pub(super) struct Somes(pub(super) u8);

impl<'de> Deserializer<'de> for Somes {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0.checked_sub(1) {
            Some(left) => visitor.visit_some(Self(left)),
            None => visitor.visit_unit(),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            0 => visitor.visit_none(),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
