//! What a job says shall become of its schedule.

use poolder_core::{BoxError, Error, Timing};

use crate::run::worker::Result;

/// What shall become of the schedule, once its job has ended well.
///
/// It happens before the job is settled: when a node dies in between, the job runs again and says
/// it again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Then {
    /// It goes on.
    #[default]
    Continue,
    /// It goes on with this timing, from now on: [`Then::set`].
    Set(Timing),
    /// Another job of the scheduler gets a schedule, or this timing if it has one:
    /// [`Then::create`].
    Create(String, Timing),
    /// These jobs have schedules, and no others of the scheduler: [`Then::replace`].
    Replace(Vec<(String, Timing)>),
    /// It stops, until an operator resumes it or code declares it anew.
    Stop,
    /// All schedules of the scheduler stop.
    StopAll,
}

impl Then {
    /// Goes on with another timing: a cron expression, or an interval.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a timing that cannot be.
    pub fn set(timing: impl TryInto<Timing, Error: Into<Error>>) -> Result<Self, Error> {
        timing.try_into().map(Self::Set).map_err(Into::into)
    }

    /// Gives another job of the scheduler a schedule.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a timing that cannot be.
    pub fn create(
        job: impl Into<String>,
        timing: impl TryInto<Timing, Error: Into<Error>>,
    ) -> Result<Self, Error> {
        Ok(Self::Create(job.into(), timing.try_into().map_err(Into::into)?))
    }

    /// Replaces the set: these jobs have schedules, and no others. Those that were declared in code
    /// stop, those that were made at run time are removed.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a timing that cannot be.
    pub fn replace<N, T>(set: impl IntoIterator<Item = (N, T)>) -> Result<Self, Error>
    where
        N: Into<String>,
        T: TryInto<Timing, Error: Into<Error>>,
    {
        let one = |(job, timing): (N, T)| Ok((job.into(), timing.try_into().map_err(Into::into)?));
        set.into_iter().map(one).collect::<Result<_, Error>>().map(Self::Replace)
    }
}

/// What a method of a scheduler may return: nothing, a [`Then`], or a result of either.
pub trait IntoThen {
    /// What it means.
    ///
    /// # Errors
    /// The job's own: its attempt has failed.
    fn into_then(self) -> Result<Then>;
}

impl IntoThen for Then {
    fn into_then(self) -> Result<Then> {
        Ok(self)
    }
}

impl IntoThen for () {
    fn into_then(self) -> Result<Then> {
        Ok(Then::Continue)
    }
}

impl<T: IntoThen, E: Into<BoxError>> IntoThen for std::result::Result<T, E> {
    fn into_then(self) -> Result<Then> {
        self.map_err(Into::into)?.into_then()
    }
}
