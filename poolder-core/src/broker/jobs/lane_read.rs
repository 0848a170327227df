//! Reads of lanes that claim jobs whatever their sizes, of one partition or of several at once.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError, Value};

use crate::broker::connection::failure::is_nogroup;
use crate::broker::connection::reply;
use crate::broker::connection::request::Request;
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::jobs::claimed::Claimed;
use crate::broker::keys::{GROUP, PartitionKeys};
use crate::broker::{Broker, scripts};
use crate::job::{Error, Lane, clamped_millis};

/// Builds a claim of up to `count` jobs of each of these lanes.
pub(super) fn read_lanes(
    lanes: &[&str],
    consumer: &str,
    count: usize,
    block: Option<Duration>,
) -> Cmd {
    let mut cmd = redis::cmd("XREADGROUP");
    cmd.arg("GROUP").arg(GROUP).arg(consumer).arg("COUNT").arg(count.max(1));
    if let Some(block) = block {
        cmd.arg("BLOCK").arg(clamped_millis(block));
    }
    cmd.arg("STREAMS").arg(lanes);
    for _ in lanes {
        cmd.arg(">");
    }
    cmd
}

/// Reads the reply to a claim from the lanes of these partitions. Returns for each partition what
/// was claimed, and the bytes of all of it. Groups that are missing are created, and nothing was
/// claimed then.
pub(super) async fn read_claimed(
    broker: &Broker,
    connection: &mut impl ConnectionLike,
    partitions: &[&PartitionKeys],
    reply: Result<Value, RedisError>,
) -> Result<(Vec<Claimed>, usize), Error> {
    let mut claimed: Vec<Claimed> = partitions.iter().map(|_| Claimed::default()).collect();
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) if is_nogroup(&error) => {
            for keys in partitions {
                create_groups(broker, connection, keys).await?;
            }
            return Ok((claimed, 0));
        }
        Err(error) => return Err(broker.classify(error)),
    };
    let mut bytes = 0;
    for stream in reply::array(reply)? {
        let [name, entries] = reply::items::<2>(stream)?;
        let name = reply::text(name)?;
        let lane_of =
            |keys: &PartitionKeys| Lane::ALL.into_iter().find(|lane| keys.lane(*lane) == name);
        let mut found = partitions.iter().zip(&mut claimed);
        let (claimed, lane) = found
            .find_map(|(keys, claimed)| Some((claimed, lane_of(keys)?)))
            .ok_or_else(|| Error::protocol(format!("stream {name} was not requested")))?;
        bytes += claimed.extend(&name, lane, reply::entries(entries)?);
    }
    if claimed.iter().any(|claimed| !claimed.is_empty()) {
        broker.reply_came(bytes);
    }
    Ok((claimed, bytes))
}

/// Creates the consumer groups of a partition that are missing, at the start of their streams, since
/// all jobs stored there are unfinished.
pub(super) async fn create_groups(
    broker: &Broker,
    connection: &mut impl ConnectionLike,
    keys: &PartitionKeys,
) -> Result<(), Error> {
    let mut pipe = redis::pipe();
    for lane in Lane::ALL {
        let mut cmd = scripts::write("XGROUP CREATE", keys.lane(lane));
        pipe.add_command(cmd.arg(GROUP).arg("0").arg("MKSTREAM").clone());
    }
    let trip = broker.inner.round_trips.trip(RedisOperation::Other);
    let sent = Request::new(&pipe).send(connection).await;
    broker.inner.round_trips.end_all(trip, &sent);
    for reply in sent.map_err(|error| broker.classify(error))? {
        match reply {
            Err(error) if error.code() == Some("BUSYGROUP") => {}
            Err(error) => return Err(broker.classify(error)),
            Ok(_) => {}
        }
    }
    Ok(())
}
