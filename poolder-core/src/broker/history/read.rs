//! Reading the history of kinds.

use std::collections::BTreeMap;

use super::frames::{Frame, FrameKind};
use crate::broker::Broker;
use crate::broker::connection::reply::server_time;
use crate::history::{Counts, History, HistoryRange, Period, SeriesName, read_name};
use crate::job::{Error, Timestamp};

/// The number of the last periods of a range that may have no frame yet: their counts are those of
/// the shorter periods of which they are made.
const RECENT: i64 = 2;

impl Broker {
    /// Returns the history of all kinds, of those of a queue, or of one kind, in a range up to now.
    ///
    /// # Errors
    /// [`Error::is_too_large`] when the range holds too much for one read; also returns an error
    /// when the server does not answer or refuses the command.
    pub async fn history(
        &self,
        queue: Option<&str>,
        kind: Option<&str>,
        range: HistoryRange,
    ) -> Result<History, Error> {
        let now = self.server_now().await?;
        let wanted = match (queue, kind) {
            (Some(queue), Some(kind)) => {
                Some(vec![SeriesName::Kind(queue.into(), kind.into()).field()])
            }
            _ => None,
        };
        let found = self.read_range(FrameKind::Series, range, now, wanted.as_deref()).await?;
        let is_wanted = |name: &SeriesName| match name {
            SeriesName::Kind(its_queue, its_kind) => {
                queue.is_none_or(|queue| queue == its_queue)
                    && kind.is_none_or(|kind| kind == its_kind)
            }
            SeriesName::Rest => queue.is_none() && kind.is_none(),
            SeriesName::Error(_) => false,
        };
        let mut series = BTreeMap::<SeriesName, BTreeMap<Period, Counts>>::new();
        for (period, frame) in found {
            for (field, counts) in frame {
                let Some(name) = read_name(&field).filter(is_wanted) else { continue };
                if !counts.is_empty() {
                    series.entry(name).or_default().entry(period).or_default().merge(&counts);
                }
            }
        }
        Ok(History::of(range, now, series))
    }

    /// Returns the time by the clock of the server that has the roster.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn server_now(&self) -> Result<Timestamp, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.now());
        }
        server_time(self.command(&redis::cmd("TIME")).await?)
    }

    /// Reads the frames of a range, each with the period of the range in which it lies. Of a recent
    /// period that has no frame yet the frames of shorter periods are read.
    pub(super) async fn read_range(
        &self,
        kind: FrameKind,
        range: HistoryRange,
        now: Timestamp,
        fields: Option<&[String]>,
    ) -> Result<Vec<(Period, Frame)>, Error> {
        let mut found = vec![];
        // The frames to read, and the periods of the range in which they lie.
        let mut wanted: Vec<(Period, Period)> = range.until(now).map(|at| (at, at)).collect();
        while !wanted.is_empty() {
            let periods: Vec<Period> = wanted.iter().map(|(at, _)| *at).collect();
            let frames = self.read_frames(kind, &periods, fields).await?;
            let mut missing = vec![];
            for ((at, within), frame) in wanted.into_iter().zip(frames) {
                let is_recent = at.after(RECENT) > Period::of(at.step(), now);
                if frame.is_empty() && is_recent {
                    missing.extend(at.parts().map(|part| (part, within)));
                } else {
                    found.push((within, frame));
                }
            }
            wanted = missing;
        }
        Ok(found)
    }
}
