//! Reading groups of equal errors.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join;
use redis::Value;

use super::frames::FrameKind;
use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::history::{
    Counts, ErrorGroup, ErrorId, ErrorSample, HistoryRange, Period, SeriesName, read_name,
};
use crate::job::{Error, Timestamp};

/// The most groups of errors that are read.
const MAX_ERRORS: usize = 500;
/// The time over which the errors of a group are counted.
const HOUR: Duration = Duration::from_secs(3_600);

impl Broker {
    /// Returns the groups of equal errors that are kept, the one seen last first: at most 500.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn errors(&self) -> Result<Vec<ErrorGroup>, Error> {
        let keys = &self.roster_keys().history;
        let mut cmd = redis::cmd("ZREVRANGEBYSCORE");
        cmd.arg(&keys.errors_seen).arg("+inf").arg("-inf").arg("WITHSCORES");
        cmd.arg("LIMIT").arg(0).arg(MAX_ERRORS);
        let mut seen = vec![];
        let mut reply = reply::array(self.command(&cmd).await?)?.into_iter();
        while let (Some(id), Some(at)) = (reply.next(), reply.next()) {
            // A member that is no id was not written by Poolder.
            let id = reply::text(id).ok().and_then(|id| id.parse::<ErrorId>().ok());
            seen.extend(id.zip(reply::int(at).ok().map(Timestamp::from_millis)));
        }
        if seen.is_empty() {
            return Ok(vec![]);
        }
        let ids: Vec<String> = seen.iter().map(|(id, _)| id.to_string()).collect();
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(&keys.errors).arg(&ids);
        let now = self.server_now().await?;
        // Sent together, as one pipeline.
        let (samples, mut mutes) = try_join(self.command(&cmd), self.mutes(&ids, now)).await?;
        let samples = reply::array(samples)?;
        let counted = self.counted(HistoryRange::last(HOUR), None, now).await?;
        let mut last_hour = BTreeMap::<ErrorId, u64>::new();
        for (id, _, times) in counted {
            *last_hour.entry(id).or_default() += times;
        }
        let group = |((id, last_seen), sample): ((ErrorId, Timestamp), Value)| {
            let (first_seen, sample) = read_sample(sample)?;
            let last_hour = last_hour.get(&id).copied().unwrap_or_default();
            let mute = mutes.remove(&id);
            Some(ErrorGroup { id, first_seen, last_seen, last_hour, mute, sample })
        };
        Ok(seen.into_iter().zip(samples).filter_map(group).collect())
    }

    /// Returns how often an error was seen in each period of a range up to now, the earliest first;
    /// periods without it are left out.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn error_history(
        &self,
        id: ErrorId,
        range: HistoryRange,
    ) -> Result<Vec<(Timestamp, u64)>, Error> {
        let mut periods = BTreeMap::<Timestamp, u64>::new();
        for (_, at, times) in self.error_counts(&[id], range).await? {
            *periods.entry(at).or_default() += times;
        }
        Ok(periods.into_iter().collect())
    }

    /// Returns how often each of some errors was seen in each period of a range up to now; periods
    /// without them are left out.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn error_counts(
        &self,
        ids: &[ErrorId],
        range: HistoryRange,
    ) -> Result<Vec<(ErrorId, Timestamp, u64)>, Error> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let counted = self.counted(range, Some(ids), self.server_now().await?).await?;
        Ok(counted.into_iter().map(|(id, period, times)| (id, period.start(), times)).collect())
    }

    /// Reads how often errors were seen, or some of them, by frame.
    async fn counted(
        &self,
        range: HistoryRange,
        ids: Option<&[ErrorId]>,
        now: Timestamp,
    ) -> Result<Vec<(ErrorId, Period, u64)>, Error> {
        let field = |id: &ErrorId| SeriesName::Error(*id).field();
        let fields = ids.map(|ids| ids.iter().map(field).collect::<Vec<_>>());
        let frames = self.read_range(FrameKind::Series, range, now, fields.as_deref()).await?;
        let mut counted = vec![];
        for (period, frame) in frames {
            let times = |(field, counts): (String, Counts)| match read_name(&field) {
                Some(SeriesName::Error(id)) => Some((id, period, counts.total())),
                _ => None,
            };
            counted.extend(frame.into_iter().filter_map(times));
        }
        Ok(counted)
    }
}

/// Reads the first time of an error and its sample; `None` for one of another form.
fn read_sample(value: Value) -> Option<(Timestamp, ErrorSample)> {
    let text = reply::text(value).ok()?;
    let (first, sample) = text.split_once(' ')?;
    Some((Timestamp::from_millis(first.parse().ok()?), serde_json::from_str(sample).ok()?))
}
