//! Display of payloads: a payload of any format is shown as JSON, and read back from it.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::item::Item;
use crate::job::{Error, Format, RawJob, payload};

/// Returns the payload as JSON. Values of MessagePack that JSON lacks are shown in another form:
/// bytes as lists of numbers, infinities and NaN as text, keys that are not text as their JSON text.
/// Keys that would be equal are numbered (`null`, `null #2`).
///
/// # Errors
/// [`Error::is_codec`] when the payload cannot be read, or is nested deeper than 64 levels (128 for
/// JSON).
pub fn to_json(raw: RawJob<'_>) -> Result<Value, Error> {
    match raw.format {
        Format::Json => payload::decode(raw),
        Format::MessagePack => Ok(show(&payload::decode(raw)?)),
    }
}

/// Returns the payload that an operator has changed in the form of [`to_json`]. A payload that is
/// unchanged stays as it is stored, byte for byte; of another one, so do the values that are
/// unchanged. New values of a MessagePack payload take the type of the value in their place where
/// JSON does not tell: lists are bytes where bytes were, keys are integers where all keys were.
///
/// # Errors
/// [`Error::is_codec`] when the payload is nested deeper than 64 levels.
pub(crate) fn edit(raw: RawJob<'_>, new: &Value) -> Result<(Format, Vec<u8>), Error> {
    let old = match raw.format {
        Format::MessagePack => payload::decode::<Item>(raw).ok(),
        Format::Json => None,
    };
    let Some(old) = old else { return Ok((Format::Json, new.to_string().into_bytes())) };
    if show(&old) == *new {
        return Ok((Format::MessagePack, raw.payload.to_vec()));
    }
    let mut bytes = vec![];
    payload::encode_for_people(&merge(&old, new), &mut bytes)?;
    Ok((Format::MessagePack, bytes))
}

fn show(item: &Item) -> Value {
    let float = |value: f64| match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None => Value::String(value.to_string()),
    };
    match item {
        Item::Nil => Value::Null,
        Item::Some(inner) | Item::Extension(inner) => show(inner),
        Item::Bool(value) => (*value).into(),
        Item::Int(value) => (*value).into(),
        Item::Uint(value) => (*value).into(),
        // The shortest text that is read as this number, not that of the wider number.
        Item::Float32(value) => float(value.to_string().parse().unwrap_or((*value).into())),
        Item::Float(value) => float(*value),
        Item::Text(text) => text.as_str().into(),
        Item::Bytes(bytes) => bytes.as_slice().into(),
        Item::List(items) => items.iter().map(show).collect(),
        Item::Map(entries) => {
            keys(entries).into_iter().zip(entries.iter().map(|(_, value)| show(value))).collect()
        }
    }
}

/// Returns the keys of a map as they are shown, each once.
fn keys(entries: &[(Item, Item)]) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let number = |(key, _): &(Item, Item)| {
        let key = match show(key) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let count = seen.entry(key.clone()).and_modify(|count| *count += 1).or_insert(1);
        if *count == 1 { key } else { format!("{key} #{count}") }
    };
    entries.iter().map(number).collect()
}

/// Returns the new value, with all parts of the old one that are shown as the new ones are.
fn merge(old: &Item, new: &Value) -> Item {
    if show(old) == *new {
        return old.clone();
    }
    match (old, new) {
        (Item::Some(inner), _) => merge(inner, new),
        (Item::Map(entries), Value::Object(new)) => merge_map(entries, new),
        (Item::List(items), Value::Array(new)) => {
            let old = |at| items.get(at).or(items.last()).unwrap_or(&Item::Nil);
            Item::List(new.iter().enumerate().map(|(at, new)| merge(old(at), new)).collect())
        }
        (Item::Bytes(_), Value::Array(new)) if new.iter().all(|item| byte(item).is_some()) => {
            Item::Bytes(new.iter().filter_map(byte).collect())
        }
        (Item::Float(_) | Item::Float32(_), Value::String(text))
            if ["NaN", "inf", "-inf"].contains(&text.as_str()) =>
        {
            Item::Float(text.parse().unwrap_or(f64::NAN))
        }
        (_, Value::Null) => Item::Nil,
        (_, Value::Bool(value)) => Item::Bool(*value),
        (_, Value::Number(number)) => match (number.as_u64(), number.as_i64()) {
            (Some(value), _) => Item::Uint(value),
            (None, Some(value)) => Item::Int(value),
            (None, None) => Item::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        (_, Value::String(text)) => Item::Text(text.clone()),
        (_, Value::Array(items)) => {
            Item::List(items.iter().map(|item| merge(&Item::Nil, item)).collect())
        }
        (_, Value::Object(map)) => merge_map(&[], map),
    }
}

/// Returns the entries of a new map: those with a key of the old one first, in their order.
fn merge_map(old: &[(Item, Item)], new: &Map<String, Value>) -> Item {
    let shown = keys(old);
    let kept = shown
        .iter()
        .zip(old)
        .filter_map(|(shown, (key, value))| Some((key.clone(), merge(value, new.get(shown)?))));
    let mut entries: Vec<_> = kept.collect();
    // A map, and no struct: its values have one type, which that of an old value tells.
    let integers = !old.is_empty() && old.iter().all(|(key, _)| is_integer(key));
    let like = old.last().filter(|_| integers).map_or(&Item::Nil, |(_, value)| value);
    for (key, value) in new.iter().filter(|(key, _)| !shown.contains(key)) {
        let number = key.parse().map(Item::Int).or_else(|_| key.parse().map(Item::Uint));
        let key = number.ok().filter(|_| integers).unwrap_or_else(|| Item::Text(key.clone()));
        entries.push((key, merge(like, value)));
    }
    Item::Map(entries)
}

fn byte(item: &Value) -> Option<u8> {
    u8::try_from(item.as_u64()?).ok()
}

fn is_integer(key: &Item) -> bool {
    matches!(key, Item::Int(_) | Item::Uint(_))
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
