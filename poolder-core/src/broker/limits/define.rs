//! Sets the limits of a queue and of its groups, and ends them.

use serde::Serialize;

use super::rate::Rate;
use crate::broker::connection::reply;
use crate::broker::keys::{LimitKeys, PartitionKeys};
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition};

/// The number of groups that are looked at in one call.
const PAGE: usize = 250;
/// The field of the hash of groups that is no group: `define.lua` writes it.
pub(super) const PAD: &[u8] = b"\0";
/// The greatest limit.
const MAX_LIMIT: u32 = 1_000_000;
/// The greatest weight of a group.
const MAX_WEIGHT: u32 = 100;

/// The limits of a queue. `None` stands for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct QueueLimits {
    /// The most jobs of the queue that run at a time, in all nodes together.
    pub concurrency: Option<u32>,
    /// The most jobs of each group that run at a time, in all nodes together.
    pub group_concurrency: Option<u32>,
    /// The rate at which jobs of the queue start.
    pub rate: Option<Rate>,
    /// The rate at which jobs of each group start.
    pub group_rate: Option<Rate>,
}

/// The own limits of a group. `None` stands for those of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct GroupLimits {
    /// The most jobs of the group that run at a time.
    pub concurrency: Option<u32>,
    /// The number of jobs that the group starts in its turn, 1 to 100; a group without one starts 1.
    pub weight: Option<u32>,
    /// The rate at which jobs of the group start.
    pub rate: Option<Rate>,
}

/// Whether limits take the place of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precedence {
    /// Limits that were set before stay.
    Stored,
    /// The new limits hold.
    Given,
}

impl QueueLimits {
    /// Creates limits that limit nothing: the queue has groups that start jobs in turn.
    #[must_use]
    pub const fn new() -> Self {
        Self { concurrency: None, group_concurrency: None, rate: None, group_rate: None }
    }

    /// Sets how many jobs of the queue run at a time, in all nodes together: 1 to a million.
    #[must_use]
    pub const fn concurrency(self, most: u32) -> Self {
        Self { concurrency: Some(most), ..self }
    }

    /// Sets how many jobs of each group run at a time, in all nodes together: 1 to a million.
    #[must_use]
    pub const fn group_concurrency(self, most: u32) -> Self {
        Self { group_concurrency: Some(most), ..self }
    }

    /// Sets the rate at which jobs of the queue start, in all nodes together.
    #[must_use]
    pub const fn rate(self, rate: Rate) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// Sets the rate at which jobs of each group start, in all nodes together.
    #[must_use]
    pub const fn group_rate(self, rate: Rate) -> Self {
        Self { group_rate: Some(rate), ..self }
    }

    fn check(self) -> Result<(), Error> {
        check("the concurrency of a queue", self.concurrency, MAX_LIMIT)?;
        check("the concurrency of each group", self.group_concurrency, MAX_LIMIT)?;
        check_rate("the rate of a queue", self.rate)?;
        check_rate("the rate of each group", self.group_rate)
    }
}

impl GroupLimits {
    /// Creates limits of which none is set.
    #[must_use]
    pub const fn new() -> Self {
        Self { concurrency: None, weight: None, rate: None }
    }

    /// Sets how many jobs of the group run at a time: 1 to a million.
    #[must_use]
    pub const fn concurrency(self, most: u32) -> Self {
        Self { concurrency: Some(most), ..self }
    }

    /// Sets how many jobs the group starts in its turn, while others start one: 1 to 100.
    #[must_use]
    pub const fn weight(self, weight: u32) -> Self {
        Self { weight: Some(weight), ..self }
    }

    /// Sets the rate at which jobs of the group start.
    #[must_use]
    pub const fn rate(self, rate: Rate) -> Self {
        Self { rate: Some(rate), ..self }
    }

    pub(super) fn check(self) -> Result<(), Error> {
        check("the concurrency of a group", self.concurrency, MAX_LIMIT)?;
        check("the weight of a group", self.weight, MAX_WEIGHT)?;
        check_rate("the rate of a group", self.rate)
    }

    /// Reads the stored form. A word that is no limit stands for none.
    pub(super) fn decode(text: &str) -> Self {
        let mut words = text.split(' ').map(|word| word.parse().ok().filter(|limit| *limit > 0));
        let (concurrency, weight) = (words.next().flatten(), words.next().flatten());
        let rate = text.split(' ').find_map(|word| Rate::decode(word.strip_prefix("rate=")?));
        Self { concurrency, weight, rate }
    }

    /// Returns the stored form; empty for no limits.
    pub(super) fn encode(self) -> String {
        let text = |value: Option<u32>| value.map_or_else(|| "-".into(), |value| value.to_string());
        if self == Self::new() {
            return String::new();
        }
        let rate = self.rate.map(|rate| format!(" rate={}", rate.encode())).unwrap_or_default();
        format!("{} {}{rate}", text(self.concurrency), text(self.weight))
    }
}

fn check(what: &str, value: Option<u32>, most: u32) -> Result<(), Error> {
    match value {
        Some(value) if value == 0 || value > most => {
            Err(Error::invalid(format!("{what} is {value}, not between 1 and {most}")))
        }
        _ => Ok(()),
    }
}

fn check_rate(what: &str, rate: Option<Rate>) -> Result<(), Error> {
    rate.map_or(Ok(()), |rate| rate.check(what))
}

impl Broker {
    /// Limits a queue, or changes its limits. Returns false when others stay, which were set before.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a limit of 0 or above a million, and for a [`Rate`] that is not
    /// allowed. Returns an error when the server does not answer or refuses the command.
    pub async fn define_limits(
        &self,
        partition: &Partition,
        limits: QueueLimits,
        precedence: Precedence,
    ) -> Result<bool, Error> {
        limits.check()?;
        let keys = self.keys(partition);
        let LimitKeys { state, groups, jobs, .. } = &keys.limits;
        let all = [state, groups, jobs, &keys.meta].map(String::as_str);
        let mut cmd = scripts::call(&scripts::DEFINE_LIMITS, all);
        for limit in [limits.group_concurrency, limits.concurrency] {
            cmd.arg(limit.map(|limit| limit.to_string()).unwrap_or_default());
        }
        for rate in [limits.group_rate, limits.rate] {
            cmd.arg(rate.map(Rate::encode).unwrap_or_default());
        }
        cmd.arg(u8::from(precedence == Precedence::Stored)).arg(&keys.control);
        let defined = reply::int(self.command(&cmd).await?)? == 1;
        if defined {
            self.look_at_groups(partition).await?;
        }
        Ok(defined)
    }

    /// Returns the limits of a queue; `None` for a queue without.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn queue_limits(&self, partition: &Partition) -> Result<Option<QueueLimits>, Error> {
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(&self.keys(partition).limits.state).arg("on").arg("all").arg("each");
        cmd.arg("rate").arg("each_rate");
        let [on, all, each, rate, each_rate] = reply::items::<5>(self.command(&cmd).await?)?;
        let number = |value| -> Option<u32> { reply::text(value).ok()?.parse().ok() };
        let rate_of = |value| Rate::decode(&reply::text(value).ok()?);
        let limits = QueueLimits {
            concurrency: number(all),
            group_concurrency: number(each),
            rate: rate_of(rate),
            group_rate: rate_of(each_rate),
        };
        Ok((number(on) == Some(1)).then_some(limits))
    }

    /// Ends the limits of a queue. Jobs that wait may start at once; the queue is one without limits
    /// when none of them waits any more. Returns how many wait.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn end_limits(&self, partition: &Partition) -> Result<u64, Error> {
        let waiting = self.close(partition, false).await?;
        self.look_at_groups(partition).await?;
        Ok(u64::try_from(waiting).unwrap_or(0))
    }

    /// Goes on with the end of limits that was asked for. Returns how many jobs wait, `None` when
    /// the limits do not end.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn go_on_ending_limits(&self, partition: &Partition) -> Result<Option<u64>, Error> {
        Ok(u64::try_from(self.close(partition, true).await?).ok())
    }

    async fn close(&self, partition: &Partition, goes_on: bool) -> Result<i64, Error> {
        let keys = self.keys(partition);
        let all = keys.limits.all().into_iter().chain([keys.meta.as_str()]);
        let mut cmd = scripts::call(&scripts::CLOSE_LIMITS, all);
        cmd.arg(&keys.control).arg(u8::from(goes_on));
        reply::int(self.command(&cmd).await?)
    }

    /// Lets groups start jobs that may start since a limit was raised.
    async fn look_at_groups(&self, partition: &Partition) -> Result<(), Error> {
        let keys = self.keys(partition);
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&keys.limits.groups).arg(&cursor).arg("COUNT").arg(PAGE);
            let [next, found] = reply::items::<2>(self.command(&scan).await?)?;
            let found = reply::array(found)?;
            let names = found.into_iter().step_by(2).map(reply::bytes);
            let mut names = names.collect::<Result<Vec<_>, _>>()?;
            names.retain(|name| name != PAD);
            self.look_at(&keys, &names).await?;
            cursor = reply::text(next)?;
            if cursor == "0" {
                return Ok(());
            }
        }
    }

    /// Puts groups where they belong by now.
    pub(super) async fn look_at(
        &self,
        keys: &PartitionKeys,
        groups: &[Vec<u8>],
    ) -> Result<(), Error> {
        for page in groups.chunks(PAGE) {
            let mut look = scripts::call(&scripts::LOOK_AT_GROUPS, keys.limits.of_groups());
            look.arg(page);
            self.command(&look).await?;
        }
        Ok(())
    }
}
