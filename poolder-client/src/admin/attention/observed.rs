//! The state of a fleet as the rules of attention look at it: plain values, of which those that are
//! not known are left out.

use std::time::Duration;

use poolder_core::broker::NodeView;
use poolder_core::view::QueueView;
use poolder_core::{QueueName, Timestamp};

use crate::admin::forecast::Flow;
use crate::admin::kinds::kinds_for;

/// The most dead jobs that a partition keeps, unless its pool says otherwise.
pub(crate) const MOST_DEAD: u64 = 10_000;

/// The state of a fleet at one moment. Fields that are not known keep their default, and their rules
/// then find nothing.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Observed {
    /// The server's clock.
    pub now: Timestamp,
    /// The queues.
    pub queues: Vec<ObservedQueue>,
    /// The nodes of the roster.
    pub nodes: Vec<ObservedNode>,
    /// The memory of the server in use, and the most that it may use, in bytes.
    pub memory: Option<(u64, u64)>,
    /// The server's `maxmemory-policy`; empty when it is not known.
    pub policy: String,
}

impl Observed {
    /// Returns the state of a fleet as far as the overview and the roster tell it, for a program that
    /// samples both: memory, late schedules and the kinds of waiting jobs are not known. The flow of
    /// a queue is set by the caller.
    ///
    /// ```no_run
    /// # use poolder_client::{Client, Observed, attention};
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let seen = Observed::of_overview(&client.overview().await?, &client.nodes().await?);
    /// for finding in attention(&seen) {
    ///     println!("{}: {}", finding.subject, finding.what);
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn of_overview(views: &[QueueView], nodes: &[NodeView]) -> Self {
        Self {
            now: views.first().map(|view| view.now).unwrap_or_default(),
            queues: views.iter().map(ObservedQueue::of_view).collect(),
            nodes: nodes.iter().map(ObservedNode::of_view).collect(),
            ..Self::default()
        }
    }
}

/// The state of a queue.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ObservedQueue {
    /// The queue.
    pub queue: QueueName,
    /// The number of jobs that wait for a free slot, or are due.
    pub waiting: u64,
    /// For how long the first of them has waited.
    pub oldest: Option<Duration>,
    /// The number of suspects that wait or run.
    pub suspects: u64,
    /// The number of dead jobs of the fullest partition, and the most that are kept there.
    pub dead: (u64, u64),
    /// The number of dead jobs that were dropped.
    pub dropped: u64,
    /// The time of a pause.
    pub paused: Option<Timestamp>,
    /// Whether a node leads the queue; `None` for an addressed pool, whose slots need no leader, and
    /// when it is not known.
    pub is_led: Option<bool>,
    /// The number of schedules that are late.
    pub late_schedules: u64,
    /// The kinds and versions that waiting jobs need, and how many of those looked at need each.
    pub kinds: Vec<((String, u16), u64)>,
    /// The flow of its jobs.
    pub flow: Option<Flow>,
    /// The attempts of its jobs, now and in the hour before.
    pub failures: Option<FailureRates>,
    /// Errors that were first seen after the last deploy.
    pub new_errors: Vec<NewError>,
    /// The number of groups of equal errors that are muted, which are not among the failures and the
    /// new errors.
    pub muted_errors: u64,
}

impl ObservedQueue {
    /// Creates the state of a queue of which nothing is known.
    #[must_use]
    pub const fn new(queue: QueueName) -> Self {
        Self {
            queue,
            waiting: 0,
            oldest: None,
            suspects: 0,
            dead: (0, 0),
            dropped: 0,
            paused: None,
            is_led: None,
            late_schedules: 0,
            kinds: vec![],
            flow: None,
            failures: None,
            new_errors: vec![],
            muted_errors: 0,
        }
    }

    fn of_view(view: &QueueView) -> Self {
        let suspects = view.lanes.iter().filter(|lane| lane.lane.is_suspect());
        let dead = view.partitions.iter().map(|part| part.dead).max().unwrap_or(0);
        // The slots of an addressed pool need no leader, and one slot looks like a shared queue.
        let is_led = (view.partitions.len() == 1).then_some(view.leader.is_some());
        Self {
            waiting: view.ready(),
            oldest: view.oldest(),
            suspects: suspects.map(|lane| lane.ready + lane.running).sum(),
            dead: (dead, MOST_DEAD),
            dropped: view.counter("dead_dropped"),
            paused: view.paused,
            is_led,
            ..Self::new(view.queue.clone())
        }
    }
}

/// The attempts that ended in the last minutes and in the hour before, and those that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FailureRates {
    /// The attempts of the last minutes, and the failed ones among them.
    pub recent: (u64, u64),
    /// The attempts of the hour before, and the failed ones among them.
    pub before: (u64, u64),
}

impl FailureRates {
    /// Creates the rates of the last minutes and of the hour before: the attempts and the failed ones
    /// among them.
    #[must_use]
    pub const fn new(recent: (u64, u64), before: (u64, u64)) -> Self {
        Self { recent, before }
    }
}

/// An error that was not seen before a deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewError {
    /// The message of the error.
    pub message: String,
    /// The kind of job.
    pub kind: String,
    /// The number of times.
    pub count: u64,
    /// The deploy after which it was seen first.
    pub deploy: String,
}

impl NewError {
    /// Creates an error that was first seen after this deploy.
    #[must_use]
    pub const fn new(message: String, kind: String, count: u64, deploy: String) -> Self {
        Self { message, kind, count, deploy }
    }
}

/// The state of a node.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ObservedNode {
    /// The name of the node.
    pub name: String,
    /// The time since its last beat.
    pub silent: Duration,
    /// True when that is so long that it may be declared dead.
    pub is_silent: bool,
    /// When it started.
    pub started: Option<Timestamp>,
    /// Its deploy; empty when it does not say.
    pub deploy: String,
    /// The queues that it serves.
    pub queues: Vec<ServedQueue>,
    /// True when it claims from limited queues as these need it.
    pub knows_limits: bool,
}

/// A queue that a node serves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServedQueue {
    /// The name of the queue.
    pub name: String,
    /// The kinds that the node can run, with the highest version of each; `None` when it does not
    /// say them.
    pub kinds: Option<Vec<(String, u16)>>,
}

impl ServedQueue {
    /// Creates a queue that a node serves, with the kinds that it says.
    #[must_use]
    pub const fn new(name: String, kinds: Option<Vec<(String, u16)>>) -> Self {
        Self { name, kinds }
    }
}

impl ObservedNode {
    /// Returns the state of a node of the roster.
    pub(crate) fn of_view(node: &NodeView) -> Self {
        let mut seen = Self {
            name: node.name.clone(),
            silent: node.silent,
            is_silent: node.is_silent(),
            ..Self::default()
        };
        if let Some(info) = &node.info {
            seen.started = Some(Timestamp::from_millis(info.started));
            seen.deploy.clone_from(&info.deploy);
            seen.knows_limits = info.limits;
            let queues = info.pools.iter().filter_map(|(name, _)| {
                let queue = QueueName::new(name).ok()?;
                Some(ServedQueue::new(name.clone(), kinds_for(info, &queue)))
            });
            seen.queues = queues.collect();
        }
        seen
    }

    /// Returns the kinds of a queue that the node can run, if it serves the queue.
    pub(crate) fn kinds_of(&self, queue: &QueueName) -> Option<Option<&Vec<(String, u16)>>> {
        let own = self.queues.iter().find(|own| own.name == queue.as_str());
        own.map(|own| own.kinds.as_ref())
    }
}
