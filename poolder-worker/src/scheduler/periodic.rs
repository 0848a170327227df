//! The trait for user code that runs recurring jobs.

use std::future::Future;

use poolder_core::{BoxError, Verdict};

use super::then::Then;
use crate::run::context::Context;
use crate::run::worker::Result;

/// Runs recurring jobs. Each slot owns a clone and gives it one job at a time; after a panic the
/// slot gets a fresh clone.
///
/// `#[poolder::scheduler]` implements this trait for a type whose async methods are the jobs. By
/// hand:
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no recurring jobs",
    label = "not a type of recurring jobs",
    note = "write `#[poolder::scheduler(…)]` on the `impl` of the type whose methods are the jobs; \
            jobs of a `Worker` recur by a `Crontab`"
)]
pub trait Periodic: Clone + Send + 'static {
    /// The name of the scheduler: 1 to 64 ASCII letters, digits, `_`, `-` or `.`. It is the queue
    /// of the jobs unless another is set, the kind of the jobs, and the first part of the names of
    /// the schedules: `cleaning.sweep`.
    const NAME: &'static str;

    /// Opens the resources of the slot, before its first job and after a panic. When it fails, the
    /// slot logs the error and tries again, with longer waits up to 30 s.
    fn handle_init(&mut self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Runs the job of this name, and returns what happens to its schedule. It may run more than
    /// once for the same tick: make it safe to repeat. [`Context::tick`] returns the time for which
    /// the job was planned.
    fn handle_job(&mut self, job: &str, cx: Context) -> impl Future<Output = Result<Then>> + Send;

    /// Decides what happens after a failed attempt. Default: as the policy says.
    fn handle_error(
        &mut self,
        job: &str,
        cx: Context,
        error: &BoxError,
    ) -> impl Future<Output = Verdict> + Send {
        let _ = (job, cx, error);
        async { Verdict::Policy }
    }

    /// Closes the resources of the slot, when the slot or the node stops.
    fn handle_stop(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}
