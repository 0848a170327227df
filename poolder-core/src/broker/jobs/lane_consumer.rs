//! The consumers of a lane, as the server describes them.

use std::time::Duration;

use redis::{RedisError, Value};

use crate::broker::connection::reply;
use crate::job::{Error, Lane};

/// A consumer of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneConsumer {
    /// The lane.
    pub lane: Lane,
    /// The name of the consumer: that of a node, unless the consumer is not a Poolder client.
    pub name: String,
    /// The number of entries that the consumer holds.
    pub pending: u64,
    /// The time since the last command of the consumer.
    pub idle: Duration,
}

/// Returns true when a lane has no stream or no group, or its key is not a stream.
pub(in crate::broker) fn has_no_group(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOGROUP" | "WRONGTYPE"))
        || error.to_string().contains("no such key")
}

pub(in crate::broker) fn read_consumer(lane: Lane, info: Value) -> Result<LaneConsumer, Error> {
    let pairs: Vec<(Value, Value)> = match info {
        Value::Map(pairs) => pairs,
        list => {
            let list = reply::array(list)?;
            list.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
        }
    };
    let mut consumer = LaneConsumer { lane, name: String::new(), pending: 0, idle: Duration::ZERO };
    for (name, value) in pairs {
        match reply::text(name)?.as_str() {
            "name" => consumer.name = reply::text(value)?,
            "pending" => consumer.pending = u64::try_from(reply::int(value)?).unwrap_or(0),
            "idle" => {
                let millis = u64::try_from(reply::int(value)?).unwrap_or(0);
                consumer.idle = Duration::from_millis(millis);
            }
            _ => {}
        }
    }
    Ok(consumer)
}
