//! The builder of a scheduler, which is a component of a node.

use std::sync::Arc;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::broker::{Declaration, Declared};
use poolder_core::policy::dispatch::MAX_SLOTS;
use poolder_core::{
    Backoff, Error, Headers, Lane, Missed, Overlap, Partition, Policy, QueueName, Schedule, Timing,
    check_schedule_name,
};

use super::job::{Defaults, schedule_name};
use super::periodic::Periodic;
use super::ticker::Ticker;
use crate::node::builder::{Component, NodeBuilder};
use crate::node::declarations::Occasion;
use crate::process::deploy::this_deploy;
use crate::run::erased::BoxFuture;
use crate::run::pool::Pool;

/// The number of slots for jobs whose schedules are created at run time; each declared job has a
/// slot as well.
const SPARE_SLOTS: usize = 4;

/// Recurring jobs, and the code that runs them: a component of a node.
///
/// The node declares the schedules when it starts. A job has one schedule, however many nodes
/// declare it, and each tick of the schedule runs on one of them.
pub struct Scheduler<P> {
    periodic: P,
    queue: Option<String>,
    size: Option<u16>,
    deploy: Option<String>,
    defaults: Defaults,
    jobs: Vec<(String, Result<Timing, Error>)>,
    changes: Vec<(String, Change)>,
}

type Change = Box<dyn FnOnce(&mut Schedule) -> Result<(), Error> + Send>;

impl<P: Periodic> Scheduler<P> {
    /// Makes a scheduler without jobs.
    #[must_use]
    pub fn new(periodic: P) -> Self {
        let defaults = Defaults {
            zone: None,
            lane: Lane::Normal,
            policy: Self::default_policy(),
            headers: Headers::new(),
            missed: Missed::default(),
            overlap: Overlap::Skip,
            jitter: Duration::ZERO,
        };
        Self {
            periodic,
            queue: None,
            size: None,
            deploy: None,
            defaults,
            jobs: vec![],
            changes: vec![],
        }
    }

    /// Adds a job by its name, with a timing: a cron expression, or an interval (a text such as
    /// `"90s"`, a `Duration`, or milliseconds). A job has one schedule.
    #[must_use]
    pub fn job(
        mut self,
        name: impl Into<String>,
        timing: impl TryInto<Timing, Error: Into<Error>>,
    ) -> Self {
        let timing = timing.try_into().map_err(Into::into);
        self.jobs.push((name.into(), timing));
        self
    }

    /// Changes any setting of a job's schedule.
    ///
    /// ```
    /// # use poolder_worker::{Context, Periodic, Result, Scheduler, Then};
    /// # #[derive(Clone)] struct Cleaning;
    /// # impl Periodic for Cleaning {
    /// #     const NAME: &'static str = "cleaning";
    /// #     async fn handle_job(&mut self, _: &str, _: Context) -> Result<Then> { Ok(Then::Continue) }
    /// # }
    /// # use poolder_core::Overlap;
    /// let component = Scheduler::new(Cleaning).job("sweep", "0 3 * * *").adjust("sweep", |schedule| {
    ///     schedule.zone = "Europe/Berlin".parse()?;
    ///     schedule.overlap = Overlap::QueueOne;
    ///     Ok(())
    /// });
    /// # let _ = component;
    /// ```
    #[must_use]
    pub fn adjust(
        mut self,
        job: impl Into<String>,
        change: impl FnOnce(&mut Schedule) -> Result<(), Error> + Send + 'static,
    ) -> Self {
        self.changes.push((job.into(), Box::new(change)));
        self
    }

    /// Returns the policy of the jobs unless [`Scheduler::policy`] sets another: 5 attempts, with
    /// 1, 2, 4 and 8 seconds between them. A recurring job runs again anyway, so it need not be
    /// retried for days.
    #[must_use]
    pub fn default_policy() -> Policy {
        let (base, cap) = (Duration::from_secs(1), Duration::from_secs(60));
        Policy::default().attempts(5).backoff(Backoff::Exponential { base, cap })
    }

    /// Sets the queue of the jobs. Default: the name of the scheduler. The scheduler is a pool for
    /// that queue, and a node can have one pool per queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Sets the number of slots in this process, 1 to 10,000. Default: one for each declared job
    /// and four more, so that a job that hangs does not delay the others.
    #[must_use]
    pub fn size(mut self, size: u16) -> Self {
        self.size = Some(size);
        self
    }

    /// Sets the name of the deploy that is recorded with the schedules. Default: the environment
    /// variable `POOLDER_DEPLOY`, else the time at which the program was built.
    #[must_use]
    pub fn deploy(mut self, deploy: impl Into<String>) -> Self {
        self.deploy = Some(deploy.into());
        self
    }

    /// Sets the time zone of the cron expressions. Default UTC.
    #[must_use]
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.defaults.zone = Some(zone.into());
        self
    }

    /// Sets the lane of the jobs. Default [`Lane::Normal`].
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.defaults.lane = lane;
        self
    }

    /// Sets the policy by which the jobs are retried. Default [`Scheduler::default_policy`].
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.defaults.policy = policy;
        self
    }

    /// Adds a header to the jobs of all ticks, or replaces the one of this name.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.defaults.headers.insert(name, value);
        self
    }

    /// Sets the policy for ticks that no leader could publish in time. Default [`Missed::One`].
    #[must_use]
    pub fn missed(mut self, missed: Missed) -> Self {
        self.defaults.missed = missed;
        self
    }

    /// Sets the policy for a tick that comes while the job of an earlier tick is under way. Default
    /// [`Overlap::Skip`]: a job does not run concurrently with itself.
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.defaults.overlap = overlap;
        self
    }

    /// Delays the ticks of each schedule by up to this much. The delay differs between schedules
    /// and is always the same for one schedule. Default zero.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.defaults.jitter = jitter;
        self
    }

    /// Returns the declarations that a node makes when it starts: for inspection and tests.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name, timing or schedule, and for an adjustment of a
    /// job that was not added.
    pub fn declarations(self) -> Result<Vec<Declaration>, Error> {
        let queue = QueueName::new(self.queue.as_deref().unwrap_or(P::NAME))?;
        // The name of a scheduler is its default queue, so it must be a legal queue name.
        QueueName::new(P::NAME)?;
        let at = |job: &str, error: Error| {
            Error::invalid(format!("scheduler {:?}, job {job:?}: {error}", P::NAME))
        };
        let mut changes = self.changes;
        let mut declarations = vec![];
        for (job, timing) in self.jobs {
            let timing = timing.map_err(|error| at(&job, error))?;
            let mut schedule = self.defaults.schedule::<P>(&job, timing);
            for (_, change) in changes.extract_if(.., |(name, _)| *name == job) {
                schedule = schedule.and_then(|mut schedule| {
                    change(&mut schedule)?;
                    Ok(schedule)
                });
            }
            let name = schedule_name::<P>(&job);
            let checked = schedule.and_then(|schedule| {
                check_schedule_name(&name)?;
                schedule.check().map(|()| schedule)
            });
            let schedule = checked.map_err(|error| at(&job, error))?;
            declarations.push(Declaration::new(queue.clone(), name, schedule));
        }
        match changes.first() {
            Some((job, _)) => Err(at(job, Error::invalid("it is adjusted, but was never added"))),
            None => Ok(declarations),
        }
    }
}

impl<P: Periodic> Component for Scheduler<P> {
    fn install(self, node: NodeBuilder) -> NodeBuilder {
        let needed = u16::try_from(self.jobs.len() + SPARE_SLOTS).unwrap_or(MAX_SLOTS);
        let size = self.size.unwrap_or(needed.min(MAX_SLOTS));
        let queue = self.queue.clone().unwrap_or_else(|| P::NAME.into());
        let ticker =
            Ticker { periodic: self.periodic.clone(), defaults: Arc::new(self.defaults.clone()) };
        let deploy = self.deploy.clone().unwrap_or_else(this_deploy);
        let declarations = self.declarations();
        let pool = Pool::new(queue).queue_is_named().size(size).worker(ticker);
        node.pool(pool).declares(declaring(P::NAME.into(), deploy, declarations))
    }
}

/// Returns a hook that declares the schedules when a node starts, and declares those that are
/// missing when the server has lost data.
pub(super) fn declaring(
    owner: String,
    deploy: String,
    declarations: Result<Vec<Declaration>, Error>,
) -> impl Fn(Client, Occasion) -> BoxFuture<'static, Result<(), Error>> + Send + Sync {
    let declarations = declarations.map(Arc::new).map_err(|error| error.to_string());
    move |client, occasion| {
        let (owner, deploy, declarations) = (owner.clone(), deploy.clone(), declarations.clone());
        Box::pin(async move {
            let declarations = declarations.map_err(Error::invalid)?;
            if occasion == Occasion::Loss {
                return restore(&client, &owner, &deploy, &declarations).await;
            }
            let done = client.declare_schedules(&owner, &deploy, &declarations).await?;
            let Declared { added, updated, unchanged, disabled, .. } = done;
            tracing::info!(
                owner,
                deploy,
                added,
                updated,
                unchanged,
                disabled,
                "schedules declared"
            );
            Ok(())
        })
    }
}

/// Declares the schedules that are missing.
async fn restore(
    client: &Client,
    owner: &str,
    deploy: &str,
    declarations: &[Declaration],
) -> Result<(), Error> {
    let broker = client.broker();
    for declaration in declarations {
        broker.register_queue(&Partition::first(declaration.queue.clone())).await?;
    }
    let added = broker.restore_schedules(owner, deploy, declarations).await?;
    tracing::info!(owner, deploy, added, "missing schedules declared again");
    Ok(())
}

impl<P> std::fmt::Debug for Scheduler<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let jobs: Vec<&str> = self.jobs.iter().map(|(job, _)| job.as_str()).collect();
        f.debug_struct("Scheduler").field("jobs", &jobs).finish_non_exhaustive()
    }
}
