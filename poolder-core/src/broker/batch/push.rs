//! Entries into filling lists, and lists that are full out of them.

use std::time::Duration;

use redis::{Cmd, Value};

use super::options::undeclared;
use super::{BatchOptions, BatcherHome};
use crate::broker::connection::reply;
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, scripts};
use crate::job::{Error, JobId, Lane, clamped_millis};

/// Entries on their way into one group: 1 to [`CHUNK`](super::CHUNK), and no more than [`CHUNK_BYTES`](super::CHUNK_BYTES) unless
/// it is one.
#[derive(Debug, Clone)]
pub struct PushCall<'a> {
    /// The group; empty for none.
    pub group: &'a str,
    /// The entries.
    pub entries: &'a [Vec<u8>],
    /// To which end they go; at the front the last of them comes first.
    pub end: ListEnd,
    /// What makes a repetition the same push.
    pub token: Option<Token<'a>>,
}

/// An end of a filling list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListEnd {
    /// Behind all others.
    #[default]
    Back,
    /// Before all others.
    Front,
}

/// A name for a push.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    /// The name, of the caller's choice.
    pub name: &'a str,
    /// For how long it is remembered.
    pub window: Duration,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushedEntries {
    /// So many of the entries are stored: the first of them.
    pub stored: usize,
    /// So many batches were sealed by it.
    pub sealed: u64,
    /// Why not all were stored.
    pub verdict: PushVerdict,
}

/// Why a push stored what it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushVerdict {
    /// All is stored, now or by an earlier push under the same token; or, very rarely, the rest is
    /// for another call.
    Stored,
    /// As many entries wait as may.
    Full,
    /// As many groups gather entries as may.
    Groups,
    /// Other options are stored than those of the call: read them, and call again.
    Options,
}

impl Broker {
    /// Appends entries to the lists of their groups, and seals what is full. One result per call,
    /// in order; calls of one group keep their order.
    ///
    /// # Errors
    /// Each as it was: [`Error::is_unknown`] when the reply was lost, [`Error::is_gone`] for a
    /// batcher that was never declared.
    pub async fn push_entries(
        &self,
        home: &BatcherHome,
        options: &BatchOptions,
        calls: &[PushCall<'_>],
    ) -> Vec<Result<PushedEntries, Error>> {
        let keys = self.keys(home.partition());
        let mut pipe = redis::pipe();
        for call in calls {
            pipe.add_command(command(home, options, call, &keys));
        }
        match self.pipeline(&pipe).await {
            Ok(replies) => replies
                .into_iter()
                .map(|reply| reply.map_err(|error| self.classify(error)))
                .map(|reply| reply.and_then(|reply| pushed(home, reply)))
                .collect(),
            Err(error) => calls.iter().map(|_| Err(error.repeated())).collect(),
        }
    }

    /// Seals what has gathered in a group, however little. Returns the batch job, or none when
    /// nothing has.
    ///
    /// # Errors
    /// [`Error::is_unknown`] when the reply was lost; to repeat it does no harm.
    pub async fn flush_batch(
        &self,
        home: &BatcherHome,
        group: &str,
    ) -> Result<Option<JobId>, Error> {
        let cmd = seal(home, group, "any", &self.keys(home.partition()));
        let reply = self.script(&scripts::PUSH, &cmd).await?;
        let [verdict, _, sealed, job] = reply::items::<4>(reply)?;
        if reply::text(verdict)? == "UNDECLARED" {
            return Err(undeclared(home));
        }
        if reply::int(sealed)? == 0 { Ok(None) } else { job_id(&reply::bytes(job)?).map(Some) }
    }
}

fn command(
    home: &BatcherHome,
    options: &BatchOptions,
    call: &PushCall<'_>,
    keys: &PartitionKeys,
) -> Cmd {
    let ids: Vec<JobId> = (0..most_seals(options, call)).map(|_| JobId::generate()).collect();
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

/// The call that seals a group's list: `which` is a generation, or `any`.
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

fn optional(cmd: &mut Cmd, value: Option<impl redis::ToRedisArgs>) {
    match value {
        Some(value) => cmd.arg(value),
        None => cmd.arg(""),
    };
}

/// How many batches a call can seal at most, and one to spare. By bytes: no two batches in a row
/// fit into one.
fn most_seals(options: &BatchOptions, call: &PushCall<'_>) -> usize {
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
        other => return Err(Error::protocol(format!("push.lua said {other:?}"))),
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
            most_seals(&BatchOptions { limit, max_bytes, ..BatchOptions::default() }, &call)
        };
        assert_eq!(seals(1, None), 102);
        assert_eq!(seals(100, None), 3);
        assert_eq!(seals(1_000, None), 2);
        assert_eq!(seals(1_000, Some(100)), 24);
        assert_eq!(seals(1_000, Some(1)), 102);
    }
}
