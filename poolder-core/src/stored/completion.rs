//! The completion record of a job: its end, for a waiting caller.
//!
//! ```text
//! stored form     d                      done, without a result
//!                 r <MessagePack>        done, with this result
//!                 x <MessagePack: Failure>   dead
//!                 c <text>               cancelled, for this reason
//!                 m <number>             moved to this slot of its pool: its end is recorded there
//! ```

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::job::{Error, Failure, Format, JobId, JobState, RawJob, payload};

/// The end of a job.
///
/// ```
/// use poolder_core::{Completion, JobId};
///
/// let job = JobId::generate();
/// assert!(Completion::Done.into_result::<()>(job).is_ok());
/// assert!(Completion::Done.into_result::<u64>(job).is_err_and(|error| error.is_no_result()));
/// let end = Completion::Cancelled("no longer needed".into());
/// assert!(end.into_result::<u64>(job).is_err_and(|error| error.is_cancelled()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completion {
    /// The job is done, without a result.
    Done,
    /// The job is done, with this result (MessagePack).
    DoneWith(Vec<u8>),
    /// The job died of this failure.
    Dead(Failure),
    /// The job was cancelled for this reason.
    Cancelled(String),
    /// The job has not ended: it was moved to this slot of its pool, where its end is recorded.
    Moved(u16),
}

impl Completion {
    /// Returns the state in which the job ended; `None` when it has not ended.
    #[must_use]
    pub fn state(&self) -> Option<JobState> {
        match self {
            Self::Done | Self::DoneWith(_) => Some(JobState::Completed),
            Self::Dead(_) => Some(JobState::Dead),
            Self::Cancelled(_) => Some(JobState::Cancelled),
            Self::Moved(_) => None,
        }
    }

    /// Returns the result of the handler. A job that is done without a result can be read as `()`
    /// or as an `Option`.
    ///
    /// # Errors
    /// [`Error::is_dead`] and [`Error::is_cancelled`] with the reason, [`Error::is_no_result`]
    /// when the job has no result, [`Error::is_codec`] when the result is not a `T`.
    pub fn into_result<T: DeserializeOwned>(self, job: JobId) -> Result<T, Error> {
        let read = |payload: &[u8]| {
            let raw = RawJob { kind: "result", version: 1, format: Format::MessagePack, payload };
            payload::decode(raw)
        };
        match self {
            Self::DoneWith(bytes) => read(&bytes).map_err(|error| {
                Error::codec(format!("the job is done, but its result is of another type: {error}"))
                    .with_job(job)
            }),
            Self::Done => read(&[NIL]).map_err(|_| {
                Error::no_result(
                    "the job is done, but its handler returned no result: return \
                     Outcome::result(&value), or ask for ()",
                )
                .with_job(job)
            }),
            Self::Dead(failure) => {
                Err(Error::dead(format!("the job died: {failure}")).with_job(job))
            }
            Self::Cancelled(reason) => {
                Err(Error::cancelled(format!("the job was cancelled: {reason}")).with_job(job))
            }
            Self::Moved(slot) => {
                Err(Error::gone(format!("the job was moved to slot {slot}")).with_job(job))
            }
        }
    }

    /// Returns the stored form.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let with = |tag: u8, content: &[u8]| [&[tag], content].concat();
        match self {
            Self::Done => with(b'd', &[]),
            Self::DoneWith(result) => with(b'r', result),
            // Writing two short strings into a Vec cannot fail.
            Self::Dead(failure) => with(b'x', &rmp_serde::to_vec(failure).unwrap_or_default()),
            Self::Cancelled(reason) => with(b'c', reason.as_bytes()),
            Self::Moved(slot) => with(b'm', slot.to_string().as_bytes()),
        }
    }

    /// Reads the stored form.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let unreadable =
            |why: &str| Error::codec(format!("the completion record cannot be read: {why}"));
        let (tag, content) = bytes.split_first().ok_or_else(|| unreadable("it is empty"))?;
        Ok(match tag {
            b'd' => Self::Done,
            b'r' => Self::DoneWith(content.to_vec()),
            b'x' => {
                let mut reader = rmp_serde::Deserializer::new(content);
                reader.set_max_depth(8);
                let failure = Failure::deserialize(&mut reader);
                Self::Dead(failure.map_err(|error| unreadable(&error.to_string()))?)
            }
            b'c' => Self::Cancelled(String::from_utf8_lossy(content).into_owned()),
            b'm' => {
                let slot = std::str::from_utf8(content).ok().and_then(|text| text.parse().ok());
                Self::Moved(slot.ok_or_else(|| unreadable("it names no slot"))?)
            }
            _ => return Err(unreadable("a newer version wrote it")),
        })
    }
}

/// `nil` in MessagePack.
const NIL: u8 = 0xc0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Cause;

    #[test]
    fn what_is_stored_is_read_back_and_garbage_is_an_error() {
        let ends = [
            Completion::Done,
            Completion::DoneWith(vec![1, 2]),
            Completion::Dead(Failure::new(Cause::Panic, "oh no")),
            Completion::Cancelled("why not".into()),
            Completion::Moved(9_999),
        ];
        for end in ends {
            assert_eq!(Completion::decode(&end.encode()).unwrap(), end);
        }
        for bad in [b"".as_slice(), b"?", b"x\xc1", b"m", b"m65536"] {
            assert!(Completion::decode(bad).is_err_and(|error| error.is_codec()), "{bad:?}");
        }
    }

    #[test]
    fn each_completion_gives_its_result_or_its_error() {
        let job = JobId::from_bytes([7; 16]);
        let seven = || Completion::DoneWith(vec![7]);
        assert_eq!(seven().into_result::<u64>(job).unwrap(), 7);
        assert!(seven().into_result::<String>(job).is_err_and(|error| error.is_codec()));
        assert_eq!(Completion::Done.into_result::<Option<u64>>(job).unwrap(), None);
        let error = Completion::Dead(Failure::new(Cause::Error, "no luck")).into_result::<u64>(job);
        let error = error.unwrap_err();
        assert!(error.is_dead() && error.job_id() == Some(job), "{error}");
        assert!(error.to_string().contains("no luck"), "{error}");
    }
}
