//! The return values by which a job changes its schedule.

use poolder_core::{BoxError, Error, Timing};

use crate::run::worker::Result;

/// The change to the schedules of a scheduler when one of its jobs has succeeded.
///
/// The change is made before the job is settled: when the node dies in between, the job runs again
/// and the change is made again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Then {
    /// The schedule goes on unchanged.
    #[default]
    Continue,
    /// The schedule goes on with this timing, from now on: [`Then::set`].
    Set(Timing),
    /// This job of the scheduler gets a schedule with this timing, or its schedule gets this
    /// timing: [`Then::create`].
    Create(String, Timing),
    /// The scheduler has schedules for these jobs and for no others: [`Then::replace`].
    Replace(Vec<(String, Timing)>),
    /// The schedule stops, until an operator resumes it or a changed declaration replaces it.
    Stop,
    /// All schedules of the scheduler stop.
    StopAll,
}

impl Then {
    /// Returns [`Then::Set`] with a cron expression or an interval.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal timing.
    pub fn set(timing: impl TryInto<Timing, Error: Into<Error>>) -> Result<Self, Error> {
        timing.try_into().map(Self::Set).map_err(Into::into)
    }

    /// Returns [`Then::Create`] for a job of the scheduler.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal timing.
    pub fn create(
        job: impl Into<String>,
        timing: impl TryInto<Timing, Error: Into<Error>>,
    ) -> Result<Self, Error> {
        Ok(Self::Create(job.into(), timing.try_into().map_err(Into::into)?))
    }

    /// Returns [`Then::Replace`]: these jobs get schedules. Of the other schedules of the
    /// scheduler, those that were declared in code stop, and those that were created at run time
    /// are removed.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal timing.
    pub fn replace<N, T>(set: impl IntoIterator<Item = (N, T)>) -> Result<Self, Error>
    where
        N: Into<String>,
        T: TryInto<Timing, Error: Into<Error>>,
    {
        let one = |(job, timing): (N, T)| Ok((job.into(), timing.try_into().map_err(Into::into)?));
        set.into_iter().map(one).collect::<Result<_, Error>>().map(Self::Replace)
    }
}

/// The return types of a scheduler's methods: nothing, a [`Then`], or a result of either.
#[diagnostic::on_unimplemented(
    message = "a method of a scheduler cannot return `{Self}`",
    label = "this method returns `{Self}`",
    note = "a method of a scheduler returns `()`, `Then`, or a `Result` of one of them, whose error \
            can be boxed"
)]
pub trait IntoThen {
    /// Converts the return value; nothing means [`Then::Continue`].
    ///
    /// # Errors
    /// Returns the error of the method, which fails the attempt.
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
