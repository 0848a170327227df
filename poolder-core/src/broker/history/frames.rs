//! Reading frames.

use redis::Value;

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::history::{Counts, Period};
use crate::job::Error;

/// The number of frames that one pipeline reads; more where a range would need more pipelines.
const PAGE: usize = 32;
/// The most pipelines that read a range.
const MOST_PAGES: usize = 6;
/// The number of fields that one pipeline reads, of all frames, where fields are named.
const FIELDS: usize = 512;
/// The most bytes of all frames of one read.
const MAX_BYTES: usize = 64 << 20;

/// The two hashes of each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// The counts of kinds and errors.
    Series,
    /// The gauges of queues.
    Gauges,
}

/// The series of a frame: their names and counts. Those that cannot be read are left out.
pub(super) type Frame = Vec<(String, Counts)>;

impl Broker {
    /// Reads all series of these frames, or these of each; a frame that does not exist is empty.
    pub(super) async fn read_frames(
        &self,
        kind: FrameKind,
        periods: &[Period],
        fields: Option<&[String]>,
    ) -> Result<Vec<Frame>, Error> {
        let keys = &self.roster_keys().history;
        let (mut frames, mut bytes) = (Vec::with_capacity(periods.len()), 0);
        for page in periods.chunks(page(periods.len(), fields.map(<[String]>::len))) {
            let mut pipe = redis::pipe();
            for period in page {
                let (letter, number) = (period.step().letter(), period.number());
                let key = match kind {
                    FrameKind::Series => keys.frame(letter, number),
                    FrameKind::Gauges => keys.gauges(letter, number),
                };
                match fields {
                    Some(fields) => pipe.cmd("HMGET").arg(key).arg(fields),
                    None => pipe.cmd("HGETALL").arg(key),
                };
            }
            for reply in self.pipeline(&pipe).await? {
                let values = reply::array(reply.map_err(|error| self.classify(error))?)?;
                let size = |value: &Value| match value {
                    Value::BulkString(bytes) => bytes.len(),
                    _ => 0,
                };
                bytes += values.iter().map(size).sum::<usize>();
                frames.push(match fields {
                    Some(fields) => named(fields.iter().cloned(), values),
                    None => paired(values),
                });
            }
            if bytes > MAX_BYTES {
                return Err(Error::too_large(format!(
                    "this part of the history has more than {} MiB: read a shorter time, or one \
                     queue and kind",
                    MAX_BYTES >> 20
                )));
            }
        }
        Ok(frames)
    }
}

/// Returns how many of so many frames one pipeline reads, of which all fields or so many are read.
fn page(frames: usize, fields: Option<usize>) -> usize {
    let few = fields.map_or(PAGE, |fields| PAGE.max(FIELDS / fields.max(1)));
    few.max(frames.div_ceil(MOST_PAGES))
}

fn paired(values: Vec<Value>) -> Frame {
    let mut values = values.into_iter();
    let mut frame = vec![];
    while let (Some(name), Some(counts)) = (values.next(), values.next()) {
        if let Ok(name) = reply::text(name) {
            frame.extend(named([name], vec![counts]));
        }
    }
    frame
}

fn named(names: impl IntoIterator<Item = String>, values: Vec<Value>) -> Frame {
    let read = |(name, value)| {
        let Value::BulkString(bytes) = value else { return None };
        Some((name, Counts::decode(&bytes).ok()?))
    };
    names.into_iter().zip(values).filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_in_a_few_pipelines() {
        assert_eq!(
            [page(0, None), page(60, None), page(480, None), page(504, None)],
            [32, 32, 80, 84]
        );
        assert_eq!([page(504, Some(1)), page(504, Some(4)), page(504, Some(500))], [512, 128, 84]);
        assert_eq!(page(1, Some(0)), 512);
    }
}
