//! Reads replies, and reports an error for a reply of an unexpected shape.

use std::time::Duration;

use redis::{RedisResult, Value};

use crate::job::{EntryId, Error, Fields, Timestamp};

fn unexpected(what: &str, value: &Value) -> Error {
    let shown: String = format!("{value:?}").chars().take(200).collect();
    Error::protocol(format!("expected {what} in a reply of Redis, found {shown}"))
}

/// Converts an error reply into an error. Errors inside a list are left to the reader of the list:
/// a search here would build every list anew.
pub(crate) fn checked(value: Value) -> RedisResult<Value> {
    match value {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

pub(crate) fn array(value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(items) | Value::Set(items) => Ok(items),
        Value::Nil => Ok(vec![]),
        other => Err(unexpected("a list", &other)),
    }
}

/// Reads a list of exactly `N` items.
pub(crate) fn items<const N: usize>(value: Value) -> Result<[Value; N], Error> {
    let list = array(value)?;
    let found = list.len();
    list.try_into()
        .map_err(|_| Error::protocol(format!("expected {N} items in a reply, found {found}")))
}

pub(crate) fn bytes(value: Value) -> Result<Vec<u8>, Error> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        Value::Okay => Ok(b"OK".to_vec()),
        Value::Int(number) => Ok(number.to_string().into_bytes()),
        other => Err(unexpected("a string", &other)),
    }
}

pub(crate) fn text(value: Value) -> Result<String, Error> {
    String::from_utf8(bytes(value)?)
        .map_err(|_| Error::protocol("expected text in a reply of Redis, found other bytes"))
}

pub(crate) fn int(value: Value) -> Result<i64, Error> {
    match value {
        Value::Int(number) => Ok(number),
        // Scores arrive as text, from some servers in scientific notation.
        other => {
            let text = text(other)?;
            let exact = text.parse::<i64>().ok();
            // A double holds any time in milliseconds exactly.
            exact
                .or_else(|| text.parse::<f64>().ok().map(|number| number as i64))
                .ok_or_else(|| Error::protocol(format!("expected a number, found {text:?}")))
        }
    }
}

/// A stream entry: its id, and its fields, `None` if the entry was deleted.
pub(crate) type StreamEntry = (EntryId, Option<Fields>);

/// Reads a list of stream entries.
pub(crate) fn entries(value: Value) -> Result<Vec<StreamEntry>, Error> {
    array(value)?
        .into_iter()
        .map(|entry| {
            let [id, fields] = items::<2>(entry)?;
            let id = text(id)?.into();
            Ok((id, fields_of(fields)?))
        })
        .collect()
}

pub(crate) fn fields_of(value: Value) -> Result<Option<Fields>, Error> {
    if value == Value::Nil {
        return Ok(None);
    }
    let mut list = array(value)?.into_iter();
    let mut fields = Vec::with_capacity(list.len() / 2);
    while let (Some(name), Some(value)) = (list.next(), list.next()) {
        fields.push((bytes(name)?, bytes(value)?));
    }
    Ok((!fields.is_empty()).then_some(fields))
}

/// Returns the time at which an entry was written to its stream, by the server's clock.
pub(in crate::broker) fn entry_time(entry: &str) -> Option<Timestamp> {
    let (millis, _) = entry.split_once('-')?;
    millis.parse().ok().map(Timestamp::from_millis)
}

/// Converts a duration in ms from a reply. A negative one becomes zero.
pub(in crate::broker) fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// Reads the reply of `TIME`.
pub(in crate::broker) fn server_time(reply: Value) -> Result<Timestamp, Error> {
    let [seconds, micros] = items::<2>(reply)?;
    let seconds = int(seconds)?.saturating_mul(1000);
    Ok(Timestamp::from_millis(seconds.saturating_add(int(micros)? / 1000)))
}
