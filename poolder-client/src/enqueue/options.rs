//! The options of a job that is sent. Every way to send takes those that it can honour; the others
//! do not exist on its builder, and are refused in ready options.

use std::fmt::Display;
use std::time::Duration;

use poolder_core::broker::{Durability, PreparedJob, When};
use poolder_core::{Error, Headers, Job, JobId, Lane, Partition, Policy, QueueName, TraceParent};

use crate::client::Client;
use crate::enqueue::choices::{ExpiryChoice, UniqueChoice};
use crate::enqueue::encode::{check_lane, encode};
use crate::enqueue::name_hint;
use crate::state::enqueue_middleware::Outgoing;

/// The options of a job that is sent: its time, lane, id, policy, durability, headers, trace,
/// uniqueness and expiry, and the retention of its completion record. The methods of the same names on [`Enqueue`](crate::Enqueue), [`Call`](crate::Call),
/// [`Cast`](crate::Cast) and the other builders set one option; their `options` method takes all
/// at once, for options that are made in one place and used in many.
///
/// A way to send that cannot honour an option refuses it when awaited, and names it.
///
/// ```no_run
/// # use std::time::Duration;
/// # use poolder_client::{Client, EnqueueOptions};
/// # use poolder_core::{Job, Lane};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Report { month: u8 }
/// # impl Job for Report { const KINDS: &'static [&'static str] = &["report"]; }
/// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
/// let nightly = EnqueueOptions::new().lane(Lane::Low).after(Duration::from_secs(3600));
/// client.enqueue(Report { month: 1 }).options(nightly.clone()).await?;
/// client.enqueue(Report { month: 2 }).options(nightly).id("report-2").await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "options have an effect when they are given to a builder"]
pub struct EnqueueOptions {
    pub(crate) lane: Lane,
    pub(crate) when: When,
    pub(crate) id: Option<String>,
    pub(crate) policy: Option<Policy>,
    pub(crate) idempotent: Option<Duration>,
    pub(crate) durability: Durability,
    pub(crate) completion_kept: Option<Duration>,
    pub(crate) headers: Headers,
    pub(crate) trace_parent: Option<TraceParent>,
    pub(crate) unique: UniqueChoice,
    pub(crate) group: Option<String>,
    pub(crate) cost: Option<u32>,
    pub(crate) expiry: ExpiryChoice,
}

/// The options of a builder on which none was set.
static NONE: EnqueueOptions = EnqueueOptions::new();

/// The options that a builder has set. Boxed, so that a builder without options stays small.
pub(crate) type SetOptions = Option<Box<EnqueueOptions>>;

/// Writes methods that set the named options, for a type with a method `options_mut`.
macro_rules! option_methods {
    ($($name:ident)*) => { $(option_methods!(@ $name);)* };
    (@ lane) => {
        /// Sets the lane in which the job waits: high, normal or low. Default
        /// [`Lane::Normal`](poolder_core::Lane::Normal).
        pub fn lane(mut self, lane: poolder_core::Lane) -> Self {
            self.options_mut().lane = lane;
            self
        }
    };
    (@ after) => {
        /// Delays the job by this time, by the server's clock. Zero means at once: a job of an
        /// addressed pool then keeps its place among the jobs of its key.
        pub fn after(mut self, delay: std::time::Duration) -> Self {
            use poolder_core::broker::When;
            self.options_mut().when = if delay.is_zero() { When::Now } else { When::In(delay) };
            self
        }
    };
    (@ at) => {
        /// Delays the job until this moment, by the server's clock. A moment in the past means at
        /// once.
        pub fn at(mut self, at: impl Into<poolder_core::Timestamp>) -> Self {
            self.options_mut().when = poolder_core::broker::When::At(at.into());
            self
        }
    };
    (@ id) => {
        /// Derives the job's id from this name and the queue, so that the job can be found again.
        /// While a job of this id waits for its time, another delayed enqueue does not replace it.
        /// Add `idempotent` to prevent a second job also while the first is ready or done. Without
        /// it each enqueue adds a job: several jobs may have the id, and an order by the id means
        /// all of them; the first one of a kind is logged as a warning, unless `unique(None)` says
        /// that it is meant. Costs a script, which removes the result and the progress of the job before.
        pub fn id(mut self, name: impl Into<String>) -> Self {
            self.options_mut().id = Some(name.into());
            self
        }
    };
    (@ policy) => {
        /// Sets the policy. Default: the job's own.
        pub fn policy(mut self, policy: poolder_core::Policy) -> Self {
            self.options_mut().policy = Some(policy);
            self
        }
    };
    (@ idempotent) => {
        /// Treats enqueues with the same id within this time as the same job, unless that job is
        /// cancelled or deleted: then the id is free again. An enqueue whose reply is
        /// lost is sent again automatically. Costs a script and a key that is kept for `window`.
        pub fn idempotent(mut self, window: std::time::Duration) -> Self {
            self.options_mut().idempotent = Some(window);
            self
        }
    };
    (@ durability) => {
        /// Sets how safely the job must be stored before this returns. Default
        /// [`Durability::Memory`](poolder_core::broker::Durability::Memory).
        pub fn durability(mut self, durability: poolder_core::broker::Durability) -> Self {
            self.options_mut().durability = durability;
            self
        }
    };
    (@ keep_completion) => {
        /// Records the job's completion, also when the job ends without a result, dead or cancelled,
        /// and keeps the record for this time, at least 1 ms, so that a caller that waits for the
        /// job is answered at once however the job ends. Without it only a result is recorded, for
        /// 24 hours. Costs a script per job when the job is settled.
        pub fn keep_completion(mut self, kept: std::time::Duration) -> Self {
            self.options_mut().completion_kept = Some(kept);
            self
        }
    };
    (@ header) => {
        /// Adds a header, or replaces the one of this name: a short text that travels with the job.
        /// [`Headers`](poolder_core::Headers) tells the limits, which are checked when this is
        /// awaited.
        pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.options_mut().headers.insert(name, value);
            self
        }
    };
    (@ headers) => {
        /// Replaces all headers.
        pub fn headers(mut self, headers: poolder_core::Headers) -> Self {
            self.options_mut().headers = headers;
            self
        }
    };
    (@ trace_parent) => {
        /// Makes the job part of a trace: takes the value of the header `traceparent` of W3C Trace
        /// Context, or a [`TraceParent`](poolder_core::TraceParent), such as that of another job.
        /// A value that is none is passed over, so that the header of a request can be handed on
        /// unchecked. Default: the span that is active, with the feature `otel`; else none.
        pub fn trace_parent(
            mut self,
            parent: impl TryInto<poolder_core::TraceParent>,
        ) -> Self {
            self.options_mut().trace_parent = parent.try_into().ok();
            self
        }
    };
    (@ unique) => {
        /// Makes the job unique by this rule, in place of that of its type: while another job of the
        /// queue holds the key, this one is not stored, and
        /// [`Receipt::is_duplicate`](poolder_core::broker::Receipt::is_duplicate) says so.
        /// `None` stores the job in any case. `docs/unique.md` describes the rules. Costs a script,
        /// and another one when the job has ended.
        pub fn unique(mut self, rule: impl Into<Option<poolder_core::Unique>>) -> Self {
            use crate::enqueue::choices::UniqueChoice;
            self.options_mut().unique = rule.into().map_or(UniqueChoice::Not, UniqueChoice::Rule);
            self
        }
    };
    (@ group) => {
        /// Puts the job into a group of its queue, such as a tenant: the groups of a limited queue
        /// start jobs in turn, and each has limits. The jobs of a group start in their order. A
        /// queue without limits ignores it. At most 128 bytes of text without control characters;
        /// the empty name is the group of jobs without one.
        pub fn group(mut self, group: impl Into<String>) -> Self {
            self.options_mut().group = Some(group.into());
            self
        }
    };
    (@ cost) => {
        /// Sets how many units of the rates of its queue and its group the job takes when it starts,
        /// such as the tokens of a request: 1 to 1,000,000,000. Default 1. A cost above what may
        /// start at once counts as that. A queue without rates ignores it.
        pub fn cost(mut self, units: u32) -> Self {
            self.options_mut().cost = Some(units);
            self
        }
    };
    (@ expires_in) => {
        /// Sets the time within which the job starts, in place of that of its type: at least 1 ms,
        /// counted from the time at which it is ready, so that a delay comes on top. A job that no
        /// slot has started by then is cancelled, with a reason that begins with `expired`. Retries
        /// are not bound by it. `None` stands for a job that does not expire.
        pub fn expires_in(mut self, time: impl Into<Option<std::time::Duration>>) -> Self {
            use crate::enqueue::choices::ExpiryChoice;
            self.options_mut().expiry = ExpiryChoice::within(time.into());
            self
        }
    };
    (@ expires_at) => {
        /// Sets the moment from which on the job does not start, by the server's clock, as
        /// `expires_in` sets a time. A job whose moment has passed is stored, and cancelled by the
        /// node that claims it.
        pub fn expires_at(mut self, at: impl Into<poolder_core::Timestamp>) -> Self {
            self.options_mut().expiry = crate::enqueue::choices::ExpiryChoice::At(at.into());
            self
        }
    };
    (@ options) => {
        /// Replaces all options by ready ones, also those that were set before. An option that
        /// cannot be honoured here is refused when this is awaited.
        pub fn options(mut self, options: crate::EnqueueOptions) -> Self {
            *self.options_mut() = options;
            self
        }
    };
}

/// Writes the private method `options_mut` of a builder whose field `options` is [`SetOptions`].
macro_rules! boxed_options {
    () => {
        fn options_mut(&mut self) -> &mut crate::EnqueueOptions {
            self.options.get_or_insert_default()
        }
    };
}

pub(crate) use {boxed_options, option_methods};

impl EnqueueOptions {
    option_methods! {
        lane after at id policy idempotent durability keep_completion header headers trace_parent
    unique group cost expires_in expires_at
    }

    /// Creates options that are all at their defaults.
    pub const fn new() -> Self {
        Self {
            lane: Lane::Normal,
            when: When::Now,
            id: None,
            policy: None,
            idempotent: None,
            durability: Durability::Memory,
            completion_kept: None,
            headers: Headers::new(),
            trace_parent: None,
            unique: UniqueChoice::OfType,
            group: None,
            cost: None,
            expiry: ExpiryChoice::OfType,
        }
    }

    fn options_mut(&mut self) -> &mut Self {
        self
    }

    /// Returns the options that a builder has set, or the defaults.
    pub(crate) fn of(set: &SetOptions) -> &Self {
        set.as_deref().unwrap_or(&NONE)
    }

    /// Returns the name of each option, and whether it differs from its default.
    fn set(&self) -> [(&'static str, bool); 14] {
        let Self { lane, when, id, policy, idempotent, durability, completion_kept, .. } = self;
        let Self { headers, trace_parent, unique, group, cost, expiry, .. } = self;
        [
            ("lane", *lane != Lane::Normal),
            ("after or at", *when != When::Now),
            ("id", id.is_some()),
            ("policy", policy.is_some()),
            ("idempotent", idempotent.is_some()),
            ("durability", *durability != Durability::Memory),
            ("keep_completion", completion_kept.is_some()),
            ("header", !headers.is_empty()),
            ("trace_parent", trace_parent.is_some()),
            ("unique", *unique != UniqueChoice::OfType),
            ("group", group.is_some()),
            ("cost", cost.is_some()),
            ("expires_in", matches!(expiry, ExpiryChoice::In(_) | ExpiryChoice::Never)),
            ("expires_at", matches!(expiry, ExpiryChoice::At(_))),
        ]
    }

    /// Refuses options that `way`, a way to send, cannot honour: all that are set, but those named
    /// in `honoured`. `mend` says what to do instead.
    pub(crate) fn check_only(
        &self,
        honoured: &[&str],
        way: impl Display,
        mend: &str,
    ) -> Result<(), Error> {
        let refused = |(name, set): &(&str, bool)| *set && !honoured.contains(name);
        match self.set().into_iter().find(refused) {
            Some((name, _)) => {
                Err(Error::invalid(format!("{way} cannot honour the option {name}: {mend}")))
            }
            None => Ok(()),
        }
    }

    /// Checks and serializes a job for its queue, and passes it through the middleware of the client
    /// that sends it. `fallback` is the policy of a job that has none,
    /// and `call` the time for which the completion record of a call is kept at least.
    pub(crate) fn prepare<J: Job>(
        &self,
        client: &Client,
        job: &J,
        queue: QueueName,
        fallback: Option<&Policy>,
        call: Option<Duration>,
    ) -> Result<PreparedJob, Error> {
        check_lane(self.lane)?;
        self.durability.check()?;
        let id = match &self.id {
            Some(name) => JobId::named(&queue, name),
            None => client.generate_id(),
        };
        let own = if self.policy.is_none() { job.policy() } else { None };
        let policy = self.policy.as_ref().or(own.as_ref()).or(fallback);
        let mut envelope = encode(job, id, &queue, policy)?;
        if let Some(kept) = self.completion_kept.max(call) {
            envelope = envelope.keeping_completion(kept)?;
        }
        if call.is_some() {
            envelope = envelope.calling()?;
        }
        if let Some(group) = self.group.clone().or_else(|| job.group()) {
            envelope = envelope.in_group(&group)?;
        }
        if let Some(cost) = self.cost.or_else(|| job.cost()) {
            envelope = envelope.costing(cost)?;
        }
        envelope = self.expiry.give(envelope, || job.expires_in())?;
        if let Some(parent) = self.trace_parent {
            envelope = envelope.with_trace_parent(parent)?;
        }
        if !(client.chain().is_empty() && self.headers.is_empty()) {
            let outgoing = Outgoing {
                envelope: &envelope,
                queue: &queue,
                lane: self.lane,
                when: self.when,
                schedule: None,
                headers: self.headers.clone(),
            };
            if let Some(changed) = client.chain().pass(outgoing)? {
                envelope = changed;
            }
        }
        let mut prepared = PreparedJob::new(Partition::first(queue), envelope);
        prepared.lane = self.lane;
        prepared.when = self.when;
        prepared.idempotent = self.idempotent;
        prepared.durability = self.durability;
        if let Some(rule) = self.unique.rule(|| job.unique()) {
            if rule.delays().is_some() && self.when != When::Now {
                return Err(Error::invalid(
                    "a debounced job is due after the delay of its rule: leave out after and at",
                ));
            }
            prepared.make_unique(&rule)?;
        } else if self.id.is_some()
            && self.idempotent.is_none()
            && self.when == When::Now
            && self.unique == UniqueChoice::OfType
        {
            name_hint::give(job.kind());
        }
        Ok(prepared)
    }
}

impl Default for EnqueueOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;
    use crate::enqueue::{Call, Cast, Enqueue};

    #[test]
    fn options_that_are_not_set_take_no_room() {
        assert_eq!(size_of::<SetOptions>(), size_of::<usize>());
        assert!(size_of::<Enqueue<()>>() <= 48, "{}", size_of::<Enqueue<()>>());
        assert!(size_of::<Call<(), ()>>() <= 64, "{}", size_of::<Call<(), ()>>());
        assert!(size_of::<Cast<()>>() <= 160, "{}", size_of::<Cast<()>>());
    }
}
