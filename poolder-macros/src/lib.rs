//! The macros of Poolder: they make jobs, pools, batchers and schedulers of plain types. Users
//! import them from the `poolder` facade.
//!
//! | macro | makes of |
//! |---|---|
//! | [`derive(Job)`](derive@Job) | a struct or an enum: a job, with kind, queue and policy |
//! | [`#[pool]`](macro@pool) | an `impl Worker` block: a pool of that worker |
//! | [`#[batcher]`](macro@batcher) | an `impl BatchWorker` block: a batcher, whose entries run together |
//! | [`#[scheduler]`](macro@scheduler) | an `impl` block: a scheduler, whose async methods are recurring jobs |
//!
//! The attributes need the feature `worker`, which is on by default. Errors are reported when the
//! program is compiled, all errors of a type at once; a wrong name lists the known ones, and a cron
//! expression that never comes true is refused.

#![cfg_attr(
    not(feature = "worker"),
    expect(
        dead_code,
        reason = "the readers of lists and words serve the attributes of components"
    )
)]

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod attributes;
mod backoff;
#[cfg(feature = "worker")]
mod components;
mod derive_job;
mod duration;
mod errors;
mod expand;
mod fields;
mod flow;
mod names;
mod nearest;
mod policy;
mod serde_attributes;
mod unique;

/// Implements `Job` for a struct or an enum, whose values can then be enqueued and run.
///
/// The type must also derive `serde::Serialize` and `serde::Deserialize`, and be `Send`. It owns
/// its data, so it has no lifetime parameters. It may have type parameters; all types that are made
/// with them share one kind.
///
/// ```
/// # extern crate poolder_core as poolder;
/// use poolder_macros::Job;
/// # use poolder::{Backoff, Job as _};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Job)]
/// #[job(kind = "email.welcome", queue = "mail", attempts = 5)]
/// #[job(backoff = exponential("1s", "1h"), timeout = "30s")]
/// struct Welcome {
///     user: u64,
/// }
///
/// let job = Welcome { user: 7 };
/// assert_eq!(job.kind(), "email.welcome");
/// assert_eq!(Welcome::QUEUE, "mail");
/// assert_eq!(job.policy().unwrap().attempts, 5);
/// ```
///
/// # Attributes of the type
///
/// Each attribute is written `#[job(name = value, …)]`, at most once; all may be left out. Values
/// are literals. The compiler reports all errors in a type at once.
///
/// | name | value | default |
/// |---|---|---|
/// | `kind` | the name under which the job is stored: 1 to 128 ASCII letters, digits, `_`, `-`, `.`, `:` or `/` | the type's name in snake case: `SendMail` is `send_mail` |
/// | `queue` | the queue of the job: 1 to 64 ASCII letters, digits, `_`, `-` or `.` | `default` |
/// | `version` | the version of the payload's shape, 1 to 65535; a worker does not run jobs of a newer version than its own; they wait for another worker | 1 |
/// | `attempts` | attempts in all, the first included: 1 or more | 25 |
/// | `backoff` | the wait between attempts, see below | `polynomial` |
/// | `timeout` | the longest time for one attempt, or `"none"` for no limit | `"30m"` |
/// | `retry_for` | no attempt starts later than this after the first failure, or `"none"` | `"none"` |
/// | `crashes` | the number of crashes of its node at which the job is buried: 2 or more | 3 |
/// | `expires` | the time within which a job starts, from when it is ready, or `"none"` | `"none"` |
/// | `unique(…)` | one job of a key at a time, see below | every enqueue stores a job |
/// | `group` | the field that is the group of the job, of a type that can be printed | no group |
/// | `cost` | the field that is its cost, a whole number; 0 counts as 1 | 1 |
/// | `crate` | the path of the crate `poolder`, when another crate re-exports it | `"::poolder"` |
///
/// # Unique jobs
///
/// `unique(until = "done", by = (tenant, month))` lets one job of the kind with this tenant and
/// month be there at a time; a second enqueue stores nothing, and answers with the handle of the
/// first. All items may be left out:
///
/// | name | value | default |
/// |---|---|---|
/// | `until` | `"done"`: any end of the job; `"start"`: the start of its first attempt | `"done"` |
/// | `window` | in place of `until`: the key is free after this time | |
/// | `debounce` | in place of `until`: the job is due this time after the last enqueue, with its data | |
/// | `at_most` | the longest time from the first enqueue until a debounced job is due | ten times the delay |
/// | `keep` | `"last"`: one more job waits until this one has ended, with the newest data | |
/// | `by` | the fields that make the key: their names, or their numbers in a tuple struct | all of the payload |
/// | `across_kinds` | `true`: all kinds of the queue share the key | `false` |
/// | `replace` | `true`: a second enqueue replaces the data of a job that waits | `false` |
/// | `hold_for` | how long a job that was lost holds its key | `"24h"` |
///
/// On an enum the rule is that of all variants without one of their own; `by` is written on a
/// variant.
///
/// # Times
///
/// A whole number is a time in milliseconds. A text has numbers with units, each unit once and the
/// largest first: `"500ms"`, `"1s"`, `"1m 30s"`, `"2h"`, `"1d"`. The longest is 100 years,
/// `"36500d"`.
///
/// # Backoff
///
/// The wait after the n-th failed attempt:
///
/// | value | wait |
/// |---|---|
/// | `"10s"` or `fixed("10s")` | always the same |
/// | `["1s", "10s", "1m"]` | each wait of the list once, in order, then the last one for all further failures; 1 to 64 waits |
/// | `linear("10s", "10m")` | n times the first time, at most the second |
/// | `exponential("1s", "1h")` | the first time, doubled with each failure, at most the second; up to 10 % more or less |
/// | `polynomial` | n⁴ + 15 seconds, at most a day; up to 10 % more or less |
///
/// # Enums
///
/// Each variant of an enum is a separate kind: `<prefix>.<variant>`, where the prefix is the `kind`
/// of the enum and the name of the variant is in snake case. So one worker can serve several kinds.
/// Only the content of the variant is stored. In JSON it is `null` for a unit variant, the value
/// for a single field, an array for several fields, and an object for named fields.
///
/// A variant may have its own `kind` (the whole name, without the prefix), `attempts`, `backoff`,
/// `timeout`, `retry_for`, `crashes` and `expires`. For all others, the values of the enum hold.
///
/// ```
/// # extern crate poolder_core as poolder;
/// # use poolder_macros::Job;
/// # use poolder::Job as _;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize, Job)]
/// #[job(queue = "media", attempts = 3)]
/// enum Media {
///     Resize { image: u64, width: u32 },
///     #[job(timeout = "2h")]
///     Encode(u64),
///     #[job(kind = "cleanup", attempts = 1)]
///     Purge,
/// }
///
/// assert_eq!(Media::KINDS, ["media.resize", "media.encode", "cleanup"]);
/// assert_eq!(Media::Encode(7).policy().unwrap().attempts, 3);
/// assert_eq!(Media::Purge.policy().unwrap().attempts, 1);
/// ```
///
/// Serde must see a plain enum: `tag`, `content`, `untagged`, `from`, `try_from` and `into` are
/// errors on it, and so are `skip`, `skip_deserializing` and `untagged` on a variant. Renaming by
/// serde changes no kind. For a kind that is no longer enqueued, but may still wait in the queue,
/// keep its variant with `#[serde(skip_serializing)]`.
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive_job::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a batcher of a worker; add it to a node with `.add(…)`. The attribute is written on the
/// `impl BatchWorker for …`.
///
/// ```ignore
/// use poolder::Result;
/// use poolder::prelude::*;
///
/// #[derive(Clone)]
/// struct Rows;
///
/// #[poolder::batcher(
///     name = "rows",
///     limit = 100,
///     timeout = "10s",
///     lifo = false,
///     policy(attempts = 3, backoff = "1s"),
///     hibernate_after = "10m"
/// )]
/// impl BatchWorker for Rows {
///     type Entry = (u64, String);
///
///     async fn handle_batch(
///         &mut self,
///         batch: &mut Batch<Self::Entry>,
///         _cx: Context,
///     ) -> Result<Outcome> {
///         println!("{:?}", batch.all().await?);
///         Ok(Done)
///     }
/// }
///
/// # async fn f(client: Client) -> Result<()> {
/// Rows::on(&client).push((7, "seven".into())).await?;
/// Node::builder(client).add(Rows).run().await?;
/// # Ok(()) }
/// ```
///
/// # Attributes
///
/// Each attribute is written `name = value`, at most once; all but `name` may be left out. Values
/// are literals, and times are written as for `derive(Job)`: milliseconds, or a text like `"10s"`.
///
/// | name | value | default |
/// |---|---|---|
/// | `name` | the name under which entries are pushed: 1 to 64 ASCII letters, digits, `_`, `-` or `.` | |
/// | `queue` | the queue of the batch jobs | the queue with the name of the batcher |
/// | `limit` | the maximum number of entries in a batch: 1 to 1,000,000 | 100 |
/// | `timeout` | the longest time from the first entry of a batch until the batch is sealed, or `"none"` | `"10s"` |
/// | `max_bytes` | the maximum size of the entries of a batch, in bytes | no limit |
/// | `max_waiting` | the maximum number of waiting entries, in filling and sealed batches together | no limit |
/// | `max_groups` | the maximum number of groups that gather entries at once | 10,000 |
/// | `lifo` | true when a batch returns its last entry first | false |
/// | `policy` | `policy(attempts = 3, backoff = "1s")`: the policy of a batch; see [`pool`](macro@pool) | 25 attempts, `polynomial` |
/// | `revision` | the revision of the attributes above, from 0; raise it when one of them changes | 0 |
/// | `size` | the number of batches that can run at once in this process | 1 |
/// | `hibernate_after` | the idle time after which a slot calls `handle_hibernate`, longer than the timeout, or `"none"` | `"none"` |
/// | `crate` | the path of the crate `poolder`, when another crate re-exports it | `"::poolder"` |
///
/// The type gets three functions: `options()`, `batcher(self)`, which returns the batcher with all
/// of these settings, and `on(&client)`, which returns a handle for pushing.
#[cfg(feature = "worker")]
#[proc_macro_attribute]
pub fn batcher(list: TokenStream, item: TokenStream) -> TokenStream {
    components::batcher::expand(list.into(), item.into()).into()
}

/// Makes a scheduler of a type whose async methods are recurring jobs; add it to a node with
/// `.add(…)`. The attribute is written on an `impl` block of the type, which must be `Clone`.
///
/// ```ignore
/// use poolder::Result;
/// use poolder::prelude::*;
///
/// #[derive(Clone, Default)]
/// struct MyJobs {
///     rounds: u64,
/// }
///
/// #[poolder::scheduler(
///     name = "myjobs",
///     jobs(prune = "*/15 * * * * *", update = "0 3 * * Mon-Fri", five_seconds = 5000),
///     zone = "Europe/Berlin",
///     policy(attempts = 5, backoff = "1s")
/// )]
/// impl MyJobs {
///     async fn prune(&mut self) {
///         self.rounds += 1;
///     }
///
///     async fn update(&mut self, cx: Context) -> Result<()> {
///         println!("the update of {:?}", cx.tick().map(|tick| tick.at()));
///         Ok(())
///     }
///
///     async fn five_seconds() -> Result<Then> {
///         Ok(Then::set("2h")?)
///     }
///
///     async fn handle_error(&mut self, job: &str, cx: Context, _error: &BoxError) -> Verdict {
///         if cx.attempt() < 3 { Verdict::Policy } else { Verdict::Halt }
///     }
/// }
///
/// # async fn f(client: Client) -> Result<()> {
/// Node::builder(client).add(MyJobs::default()).run().await?;
/// # Ok(()) }
/// ```
///
/// # Methods
///
/// A job is an `async` method with `&mut self`, `&self` or no receiver, and optionally a `Context`.
/// It returns nothing, a `Then`, or a `Result` of either. A job without a method is run by
/// `handle_job(&mut self, job: &str, cx: Context)`, if the block has it, which returns the same; so
/// is a job whose schedule is created at run time. `handle_init(&mut self) -> Result<()>`,
/// `handle_error(&mut self, job: &str, cx: Context, error: &BoxError) -> Verdict` and
/// `handle_stop(&mut self)` override the methods of the trait `Periodic`.
///
/// # Attributes
///
/// Each attribute is written at most once; all but `name` and `jobs` may be left out. Values are
/// literals, and times are written as for `derive(Job)`. Expressions, intervals and zones are
/// checked when the program is compiled.
///
/// | name | value | default |
/// |---|---|---|
/// | `name` | the name of the scheduler: 1 to 64 ASCII letters, digits, `_`, `-` or `.` | |
/// | `jobs` | `jobs(prune = "*/15 * * * * *", tidy = "90s", poll = 5000, later)`: each with a cron expression of five, six or seven fields, or an interval; a job without a value gets its schedule at run time | |
/// | `queue` | the queue of the jobs | the queue with the name of the scheduler |
/// | `size` | the number of jobs that can run at once in this process | one per job with a timing, and 4 |
/// | `zone` | the time zone of the cron expressions, by its IANA name | `"UTC"` |
/// | `policy` | `policy(attempts = 5, backoff = "1s")`: the policy of the jobs; see [`pool`](macro@pool) | 5 attempts, `exponential("1s", "1m")` |
/// | `missed` | the policy for ticks that no leader could publish in time: `"skip"`, `"one"`, or `all(100, "1h")` for at most 100 ticks, none more than 1 h late | `"one"` |
/// | `overlap` | the policy for a tick while an earlier job is under way: `"allow"`, `"skip"` or `"queue_one"` | `"skip"` |
/// | `jitter` | the maximum delay of the ticks; it differs between schedules and is always the same for one schedule | 0 |
/// | `lane` | the lane of the jobs: `"high"`, `"normal"` or `"low"` | `"normal"` |
/// | `deploy` | the name of the deploy that is recorded with the schedules | `POOLDER_DEPLOY`, else the time at which the program was built |
/// | `crate` | the path of the crate `poolder`, when another crate re-exports it | `"::poolder"` |
///
/// The type gets two functions: `scheduler(self)`, which returns the scheduler with all of these
/// settings, and `on(&client)`, which returns the schedules of its queue.
#[cfg(feature = "worker")]
#[proc_macro_attribute]
pub fn scheduler(list: TokenStream, item: TokenStream) -> TokenStream {
    components::scheduler::expand(list.into(), item.into()).into()
}

/// Makes a pool of a worker: a component for `Node::builder(client).add(MyPool)`, and
/// `MyPool::on(&client)` for its producers.
///
/// `#[pool]`, [`#[batcher]`](macro@batcher) and [`#[scheduler]`](macro@scheduler) have one grammar.
/// Each stands on the `impl` block that has the handlers, and checks them. Each attribute is the
/// method of the builder with the same name, and means the same; `policy(…)` has the methods of
/// `Policy`, which are the attributes of `derive(Job)`. A time that may be unlimited takes `"none"`.
/// Each gives its type public functions: one that returns the builder, for settings that the
/// attributes do not have, and `on(&client)`.
///
/// ```ignore
/// #[poolder::pool(
///     name = "mypool",
///     size = 10,
///     mode = "round_robin",
///     policy(attempts = 5, backoff = "1s"),
///     callbacks(event = event_bus::notify, push),
/// )]
/// impl Worker for MyPool {
///     type Job = Work;
///
///     async fn handle_job(&mut self, job: Work, cx: Context) -> Result<Outcome> {
///         Ok(Outcome::callback("push", &("lobby", job.message))?)
///     }
/// }
/// ```
///
/// | argument | value | default |
/// |---|---|---|
/// | `name` | the queue that the pool serves: 1 to 64 ASCII letters, digits, `_`, `-` or `.` | must be given |
/// | `size` | the number of slots, 1 to 10000: in the whole fleet in an addressed mode, in each process otherwise | four per core; must be given in an addressed mode |
/// | `mode` | the way in which jobs are assigned to slots: `"shared"`, `"round_robin"`, `"random"`, `"monotonic"`, `"phash"` or `"broadcast"` | `"shared"` |
/// | `policy(…)` | the policy for jobs that have none: `attempts`, `backoff`, `timeout`, `retry_for` and `crashes`, as with `derive(Job)` | as with `derive(Job)` |
/// | `callbacks(…)` | names of functions, or `name = path::to::function`: each takes the arguments of an outcome and returns a future of a `Result<()>` | none |
/// | `hibernate_after` | the idle time after which a slot drops its worker, or `"none"` | `"none"` |
/// | `handover_timeout` | how long a job may go on when its slot moves to another process; addressed modes only | `"3s"` |
/// | `retry_placement` | the place where a failed job waits: in front of its slot (`"block_slot"`), or in `due` while the slot goes on (`"reschedule"`); addressed modes only | `"block_slot"` for `"phash"`, else `"reschedule"` |
/// | `join_set` | the set of pools that the pool joins | none |
/// | `wait_permits` | the number of nodes that wait at the server for a job at the same time, 1 to 65535; mode `"shared"` only | 8 |
/// | `keep_finished(…)` | `count` and `age`: the last jobs that were done or cancelled are kept, 1 to 10000, each for so long; not with mode `"broadcast"` | none is kept |
/// | `crate` | the path of the crate `poolder`, when another crate re-exports it | `"::poolder"` |
#[cfg(feature = "worker")]
#[proc_macro_attribute]
pub fn pool(arguments: TokenStream, item: TokenStream) -> TokenStream {
    components::pool::expand(arguments.into(), item.into()).into()
}
