//! The trait of code whose jobs recur.

use std::future::Future;

use poolder_core::{BoxError, Verdict};

use super::then::Then;
use crate::run::context::Context;
use crate::run::worker::Result;

/// Code whose jobs recur. Each slot owns a clone and gives it one job at a time; after a panic the
/// slot gets a fresh clone.
///
/// `#[poolder::scheduler]` writes this for a type whose async methods are the jobs. By hand:
///
/// ```
/// use poolder_worker::{Context, Periodic, Result, Scheduler, Then};
/// use std::time::Duration;
///
/// #[derive(Clone, Default)]
/// struct Cleaning { rounds: u64 }
///
/// impl Periodic for Cleaning {
///     const NAME: &'static str = "cleaning";
///
///     async fn handle_job(&mut self, job: &str, _cx: Context) -> Result<Then> {
///         match job {
///             "sweep" => self.rounds += 1,
///             "weigh" => return Ok(Then::set(Duration::from_secs(7_200))?),
///             other => return Err(format!("what is {other}?").into()),
///         }
///         Ok(Then::Continue)
///     }
/// }
///
/// let component = Scheduler::new(Cleaning::default())
///     .job("sweep", "*/15 * * * * *")
///     .job("weigh", Duration::from_secs(60));
/// # let _ = component;
/// ```
pub trait Periodic: Clone + Send + 'static {
    /// The scheduler's name: 1 to 64 ASCII letters, digits, `_`, `-` or `.`. It is the queue of its
    /// jobs unless another is set, their kind, and the first part of its schedules' names:
    /// `cleaning.sweep`.
    const NAME: &'static str;

    /// Opens what the slot needs, before its first job and after a panic. When it fails the slot
    /// reports it and tries again, later each time, up to half a minute.
    fn handle_init(&mut self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Runs a job, known by its name, and says what shall become of its schedule. At least once:
    /// make it safe to repeat. [`Context::tick`] says for which time it was planned.
    fn handle_job(&mut self, job: &str, cx: Context) -> impl Future<Output = Result<Then>> + Send;

    /// Says what shall become of a failed attempt. Default: as the policy says.
    fn handle_error(
        &mut self,
        job: &str,
        cx: Context,
        error: &BoxError,
    ) -> impl Future<Output = Verdict> + Send {
        let _ = (job, cx, error);
        async { Verdict::Policy }
    }

    /// Closes what the slot holds, when the node goes down.
    fn handle_stop(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}
