//! Display of payloads: a payload of any format is converted to JSON.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::job::{Error, RawJob, payload};

/// Returns the payload as JSON. Values of MessagePack that JSON lacks are converted: bytes become
/// lists of numbers, keys that are not text become text, and infinities and NaN become null.
///
/// # Errors
/// [`Error::is_codec`] when the payload cannot be read, or is nested deeper than 64 levels (128 for
/// JSON).
pub fn to_json(raw: RawJob<'_>) -> Result<Value, Error> {
    payload::decode::<Lenient>(raw).map(|shown| shown.0)
}

struct Lenient(Value);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor).map(Lenient)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        // An extension type is shown as the list of its number and its bytes.
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = vec![];
        while let Some(Lenient(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((Lenient(key), Lenient(value))) = entries.next_entry()? {
            let key = match key {
                Value::String(text) => text,
                other => other.to_string(),
            };
            if map.insert(key.clone(), value).is_some() {
                return Err(de::Error::custom(format!("the key {key} occurs twice")));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Format;
    use serde_json::json;

    fn show(format: Format, payload: &[u8]) -> Result<Value, Error> {
        to_json(RawJob { kind: "k", version: 1, format, payload })
    }

    #[test]
    fn whatever_messagepack_holds_is_shown() {
        // {"u": 7, "b": bytes 1 2, 3: nil, "f": [1.5, -1, true, ext 5 of byte 9]}
        let packed = b"\x84\xa1u\x07\xa1b\xc4\x02\x01\x02\x03\xc0\xa1f\x94\xcb\x3f\xf8\0\0\0\0\0\0\xff\xc3\xd4\x05\x09";
        let shown = show(Format::MessagePack, packed).unwrap();
        let expected = json!({"u": 7, "b": [1, 2], "3": null, "f": [1.5, -1, true, [5, [9]]]});
        assert_eq!(shown, expected);
        assert_eq!(show(Format::Json, br#"{"u":7}"#).unwrap(), json!({"u": 7}));
    }

    #[test]
    fn what_is_too_deep_or_broken_is_an_error() {
        let mut deep = vec![0x91; 10_000];
        deep.push(0xc0);
        assert!(show(Format::MessagePack, &deep).is_err_and(|error| error.is_codec()));
        let json = "[".repeat(10_000);
        assert!(show(Format::Json, json.as_bytes()).is_err());
        assert!(show(Format::MessagePack, b"\xa5ab").is_err());
    }
}
