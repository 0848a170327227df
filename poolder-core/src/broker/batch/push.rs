//! Pushing entries into filling lists, and sealing lists that are full.

use std::time::Duration;

use redis::{Cmd, Value};

use super::declare::undeclared;
use super::{BatchOptions, BatcherHome};
use crate::broker::connection::reply;
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, Durability, scripts};
#[cfg(feature = "testing")]
use crate::captured::{Captured, PushEnd, PushResult, PushStop};
use crate::job::{Error, JobId, Lane, clamped_millis};

/// Entries to be pushed into one group: 1 to [`CHUNK`](super::CHUNK) entries, which have at most
/// [`CHUNK_BYTES`](super::CHUNK_BYTES) unless there is only one.
#[derive(Debug, Clone)]
pub struct PushCall<'a> {
    /// The group; empty for none.
    pub group: &'a str,
    /// The entries.
    pub entries: &'a [Vec<u8>],
    /// The end of the list to which the entries are pushed; at the front, the last entry of the
    /// call comes first.
    pub end: ListEnd,
    /// The token of an idempotent push: a repetition under the same token stores nothing again.
    pub token: Option<Token<'a>>,
}

/// An end of a filling list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListEnd {
    /// Behind all other entries.
    #[default]
    Back,
    /// Before all other entries.
    Front,
}

/// The name of an idempotent push.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    /// The name, which the caller chooses.
    pub name: &'a str,
    /// How long the name is remembered.
    pub window: Duration,
}

/// The outcome of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushedEntries {
    /// The number of stored entries. These are the first entries of the call.
    pub stored: usize,
    /// The number of batches that the push sealed.
    pub sealed: u64,
    /// The reason why entries were left out, if any were.
    pub verdict: PushVerdict,
}

/// The reason why a push stored all entries, or only some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushVerdict {
    /// All entries are stored, now or by an earlier push under the same token. Very rarely fewer
    /// entries are stored; push the remaining entries with another call then.
    Stored,
    /// The largest allowed number of entries wait.
    Full,
    /// The largest allowed number of groups gather entries.
    Groups,
    /// The stored options have another revision than those of the call: read the stored options,
    /// and call again.
    Options,
}

impl Broker {
    /// Pushes entries to the lists of their groups, and seals lists that are full. Returns one
    /// result per call, in the order of the calls. Calls of one group keep their order.
    ///
    /// # Errors
    /// Each call has its result: [`Error::is_unknown`] when the reply was lost,
    /// [`Error::is_not_found`] for a batcher that was never declared.
    pub async fn push_entries(
        &self,
        home: &BatcherHome,
        options: &BatchOptions,
        calls: &[PushCall<'_>],
    ) -> Vec<Result<PushedEntries, Error>> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return calls.iter().map(|call| capture(captured, home, options, call)).collect();
        }
        let keys = self.keys(home.partition());
        let mut pipe = redis::pipe();
        for call in calls {
            pipe.add_command(command(home, options, call, &keys));
        }
        match self.pipeline_of(RedisOperation::Enqueue, &pipe).await {
            Ok(replies) => replies
                .into_iter()
                .map(|reply| reply.map_err(|error| self.classify(error)))
                .map(|reply| reply.and_then(|reply| pushed(home, reply)))
                .collect(),
            Err(error) => calls.iter().map(|_| Err(error.repeated())).collect(),
        }
    }

    /// Pushes the entries of one call, and waits until their durability is confirmed.
    ///
    /// # Errors
    /// Those of [`Broker::push_entries`], and [`Error::is_unknown`] when the durability was not
    /// confirmed: the entries are stored.
    pub async fn push_durably(
        &self,
        home: &BatcherHome,
        options: &BatchOptions,
        call: &PushCall<'_>,
        durability: Durability,
    ) -> Result<PushedEntries, Error> {
        let keys = self.keys(home.partition());
        let cmd = command(home, options, call, &keys);
        let limit = &mut self.inner.limit();
        let reply = Box::pin(self.enqueue_durably(&keys.due, durability, &cmd, limit)).await?;
        pushed(home, reply)
    }

    /// Seals a group's filling list, however few entries it has. Returns the batch job, or `None`
    /// when the group has no entries.
    ///
    /// # Errors
    /// [`Error::is_unknown`] when the reply was lost; repeating the flush is harmless.
    /// [`Error::is_not_found`] for a batcher that was never declared.
    pub async fn flush_batch(
        &self,
        home: &BatcherHome,
        group: &str,
    ) -> Result<Option<JobId>, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            if captured.batcher(home.partition(), home.name()).is_none() {
                return Err(undeclared(home));
            }
            return Ok(captured.flush(home.partition(), home.name(), group));
        }
        let cmd = seal(home, group, "any", &self.keys(home.partition()));
        let reply = self.command(&cmd).await?;
        let [verdict, _, sealed, job] = reply::items::<4>(reply)?;
        if reply::text(verdict)? == "UNDECLARED" {
            return Err(undeclared(home));
        }
        if reply::int(sealed)? == 0 { Ok(None) } else { job_id(&reply::bytes(job)?).map(Some) }
    }
}

/// Pushes the entries of a call to the queue of a test.
#[cfg(feature = "testing")]
fn capture(
    captured: &Captured,
    home: &BatcherHome,
    options: &BatchOptions,
    call: &PushCall<'_>,
) -> Result<PushedEntries, Error> {
    let end = match call.end {
        ListEnd::Back => PushEnd::Back,
        ListEnd::Front => PushEnd::Front,
    };
    let token = call.token.map(|token| (token.name, token.window));
    let place = (home.partition(), home.name(), call.group);
    let pushed = captured.push(place, options.revision, call.entries, end, token);
    let PushResult { stored, sealed, stop } = pushed.ok_or_else(|| undeclared(home))?;
    let verdict = match stop {
        None => PushVerdict::Stored,
        Some(PushStop::Full) => PushVerdict::Full,
        Some(PushStop::Groups) => PushVerdict::Groups,
        Some(PushStop::Options) => PushVerdict::Options,
    };
    Ok(PushedEntries { stored, sealed, verdict })
}

/// Builds the command that pushes the entries of a call.
fn command(
    home: &BatcherHome,
    options: &BatchOptions,
    call: &PushCall<'_>,
    keys: &PartitionKeys,
) -> Cmd {
    let ids: Vec<JobId> = (0..max_seals(options, call)).map(|_| JobId::generate()).collect();
    let token = call.token.map(|token| token.name).unwrap_or_default();
    let mut cmd = script(home, call.group, token, &ids, keys);
    cmd.arg(home.name()).arg(call.group).arg(options.revision).arg(options.limit);
    optional(&mut cmd, options.timeout.map(clamped_millis));
    optional(&mut cmd, options.max_bytes);
    optional(&mut cmd, options.max_waiting);
    cmd.arg(options.max_groups);
    optional(&mut cmd, call.token.map(|token| clamped_millis(token.window).max(1)));
    cmd.arg(if call.end == ListEnd::Front { "LPUSH" } else { "RPUSH" });
    let bytes: usize = call.entries.iter().map(Vec::len).sum();
    cmd.arg("").arg(&keys.control).arg(bytes).arg(ids.len());
    for id in &ids {
        cmd.arg(id.as_bytes());
    }
    for entry in call.entries {
        cmd.arg(entry);
    }
    cmd
}

/// Builds the command that seals a group's list. `which` is a generation, or `any`.
pub(super) fn seal(home: &BatcherHome, group: &str, which: &str, keys: &PartitionKeys) -> Cmd {
    let ids = [JobId::generate(), JobId::generate()];
    let mut cmd = script(home, group, "", &ids, keys);
    cmd.arg(home.name()).arg(group).arg("").arg(1).arg("").arg("").arg("").arg("").arg("");
    cmd.arg("RPUSH").arg(which).arg(&keys.control).arg(0).arg(ids.len());
    for id in &ids {
        cmd.arg(id.as_bytes());
    }
    cmd
}

/// Begins a call of `push.lua`, with its keys.
fn script(
    home: &BatcherHome,
    group: &str,
    token: &str,
    ids: &[JobId],
    keys: &PartitionKeys,
) -> Cmd {
    let name = home.name();
    let own = [
        keys.batcher(name),
        keys.batch_open(name),
        keys.batch_fill(name, group),
        keys.lane(Lane::Normal).to_owned(),
        keys.due.clone(),
        keys.batches.clone(),
        keys.batch_token(name, token),
    ];
    let sealed: Vec<String> = ids.iter().map(|id| keys.batch_sealed(*id)).collect();
    scripts::call(&scripts::PUSH, own.iter().chain(&sealed).map(String::as_str))
}

/// Appends an argument; an empty one for `None`.
fn optional(cmd: &mut Cmd, value: Option<impl redis::ToRedisArgs>) {
    match value {
        Some(value) => cmd.arg(value),
        None => cmd.arg(""),
    };
}

/// Returns the most batches that a call can seal, plus one to spare. The bound by bytes: two
/// successive batches never fit into one.
fn max_seals(options: &BatchOptions, call: &PushCall<'_>) -> usize {
    let entries = call.entries.len();
    let by_count = entries / options.limit.max(1) as usize;
    let by_bytes = options.max_bytes.map_or(0, |most| {
        let bytes: usize = call.entries.iter().map(Vec::len).sum();
        2 * bytes / usize::try_from(most).unwrap_or(usize::MAX).max(1) + 2
    });
    (by_count + by_bytes).min(entries) + 2
}

fn pushed(home: &BatcherHome, reply: Value) -> Result<PushedEntries, Error> {
    let [verdict, stored, sealed, _job] = reply::items::<4>(reply)?;
    let verdict = match reply::text(verdict)?.as_str() {
        "OK" | "AGAIN" => PushVerdict::Stored,
        "FULL" => PushVerdict::Full,
        "GROUPS" => PushVerdict::Groups,
        "OPTIONS" => PushVerdict::Options,
        "UNDECLARED" => return Err(undeclared(home)),
        other => return Err(Error::protocol(format!("push.lua answered {other:?}"))),
    };
    let count = |value| Ok::<_, Error>(u64::try_from(reply::int(value)?).unwrap_or(0));
    let stored = usize::try_from(count(stored)?).unwrap_or(usize::MAX);
    Ok(PushedEntries { stored, sealed: count(sealed)?, verdict })
}

pub(super) fn job_id(bytes: &[u8]) -> Result<JobId, Error> {
    let bytes = bytes.try_into().map_err(|_| Error::protocol("a job id is not 16 bytes long"))?;
    Ok(JobId::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_id_for_every_batch_that_may_be_sealed() {
        let entries = vec![vec![0; 10]; 100];
        let call = PushCall { group: "", entries: &entries, end: ListEnd::Back, token: None };
        let seals = |limit, max_bytes| {
            max_seals(&BatchOptions { limit, max_bytes, ..BatchOptions::default() }, &call)
        };
        assert_eq!(seals(1, None), 102);
        assert_eq!(seals(100, None), 3);
        assert_eq!(seals(1_000, None), 2);
        assert_eq!(seals(1_000, Some(100)), 24);
        assert_eq!(seals(1_000, Some(1)), 102);
    }
}
