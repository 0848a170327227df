//! The macros of Poolder. Users take them from the `poolder` facade.

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemImpl, ItemStruct, parse_macro_input};

mod attributes;
mod backoff;
mod batcher;
mod derive_job;
mod duration;
mod errors;
mod expand;
mod names;
mod policy;
mod pool;
mod retry;
mod scheduler;
mod serde_attributes;

/// Makes a struct or an enum a `Job`: a value that can be enqueued and run.
///
/// The type must also derive `serde::Serialize` and `serde::Deserialize`, and be `Send`. It owns
/// its data, so it has no lifetime parameters; type parameters are fine, and all types that they
/// make share one kind.
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
/// assert_eq!(job.policy().attempts, 5);
/// ```
///
/// # Attributes of the type
///
/// Each is written `#[job(name = value, …)]`, at most once; all may be left out. Values are
/// literals. The compiler reports all mistakes of a type at once.
///
/// | name | value | default |
/// |---|---|---|
/// | `kind` | the name under which the job is stored: 1 to 128 ASCII letters, digits, `_`, `-`, `.`, `:` or `/` | the type's name in snake case: `SendMail` is `send_mail` |
/// | `queue` | the queue it goes to: 1 to 64 ASCII letters, digits, `_`, `-` or `.` | `default` |
/// | `version` | the version of the payload's shape, 1 to 65535; a worker leaves a job of a newer version than its own to others | 1 |
/// | `attempts` | attempts in all, the first included: 1 or more | 25 |
/// | `backoff` | the wait between attempts, see below | `polynomial` |
/// | `timeout` | the longest time for one attempt, or `"none"` for no limit | `"30m"` |
/// | `retry_for` | no attempt starts later than this after the first failure, or `"none"` | `"none"` |
/// | `crashes` | the crash of its node that buries the job: 2 or more | 3 |
/// | `crate` | the path of the crate `poolder`, for those who re-export it | `"::poolder"` |
///
/// # Times
///
/// A whole number is milliseconds. A text has numbers with units, each unit once and the largest
/// first: `"500ms"`, `"1s"`, `"1m 30s"`, `"2h"`, `"1d"`. The longest is 100 years, `"36500d"`.
///
/// # Backoff
///
/// The wait after the n-th failed attempt:
///
/// | value | wait |
/// |---|---|
/// | `"10s"` or `fixed("10s")` | always the same |
/// | `["1s", "10s", "1m"]` | one by one, and the last again and again; 1 to 64 waits |
/// | `linear("10s", "10m")` | n times the first time, at most the second |
/// | `exponential("1s", "1h")` | the first time, doubled with each failure, at most the second; up to 10 % more or less |
/// | `polynomial` | n⁴ + 15 seconds, at most a day; up to 10 % more or less |
///
/// # Enums
///
/// Every variant of an enum is a kind of its own: `<prefix>.<variant>`, where the prefix is the
/// enum's `kind`, and the variant's name stands in snake case. So one worker serves several kinds.
/// Only the variant's content is stored. In JSON it is `null` for a unit variant, the value for
/// one with a single field, an array for more, and an object for named fields.
///
/// A variant may have `kind` (the whole name, without the prefix), `attempts`, `backoff`,
/// `timeout`, `retry_for` and `crashes` of its own. What it leaves out is the enum's.
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
/// assert_eq!(Media::Encode(7).policy().attempts, 3);
/// assert_eq!(Media::Purge.policy().attempts, 1);
/// ```
///
/// Serde must see a plain enum: `tag`, `content`, `untagged`, `from`, `try_from` and `into` are
/// errors on it, and so are `skip`, `skip_deserializing` and `untagged` on a variant. Renaming by
/// serde changes no kind. A kind that is no longer made, but may still wait in the queue, can keep
/// its variant with `#[serde(skip_serializing)]`.
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive_job::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a type that implements `BatchWorker` a batcher, which a node is given with `.add(…)`.
///
/// ```ignore
/// use poolder::prelude::*;
///
/// #[poolder::batcher(
///     name = "rows",
///     limit = 100,
///     timeout = "10s",
///     reverse = false,
///     retry(count = 3, backoff = "1s"),
///     hibernate_after = "10m"
/// )]
/// #[derive(Clone)]
/// struct Rows;
///
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
/// Rows::handle(&client)?.push((7, "seven".into())).await?;
/// Node::builder(client).add(Rows).run().await?;
/// # Ok(()) }
/// ```
///
/// # Attributes
///
/// Each is written `name = value`, at most once; all but `name` may be left out. Values are
/// literals, and times are written as for `derive(Job)`: milliseconds, or a text like `"10s"`.
///
/// | name | value | default |
/// |---|---|---|
/// | `name` | under which entries are pushed: 1 to 64 ASCII letters, digits, `_`, `-` or `.` | |
/// | `queue` | the queue of its jobs | a queue of the batcher's name |
/// | `limit` | the most entries in a batch: 1 to 1,000,000 | 100 |
/// | `timeout` | the longest time from a batch's first entry until it is sealed, or `"infinity"` | `"10s"` |
/// | `max_bytes` | the most bytes of entries in a batch | no limit |
/// | `max_waiting` | the most entries that wait, filling or sealed | no limit |
/// | `max_groups` | the most groups that gather entries at once | 10,000 |
/// | `reverse` | true to hand out the last entry first | false |
/// | `retry` | `retry(count = 3, backoff = "1s")`: attempts in all, and the wait between them, in any form that `derive(Job)` takes | 25 attempts, `polynomial` |
/// | `revision` | counts the changes of all of the above, from 0 | 0 |
/// | `size` | batches that run at once in this process | 1 |
/// | `hibernate_after` | calls `handle_hibernate` after this time without a batch, longer than the timeout; or `"infinity"` | `"infinity"` |
/// | `crate` | the path of the crate `poolder`, for those who re-export it | `"::poolder"` |
///
/// The type gets three functions: `options()`, `batcher(self)`, the builder with all of this in it,
/// and `handle(&client)`, for pushing.
#[proc_macro_attribute]
pub fn batcher(list: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    batcher::expand(list.into(), &item).into()
}

/// Makes a type whose async methods are recurring jobs a scheduler, which a node is given with
/// `.add(…)`. It stands on an `impl` block of the type, which must be `Clone`.
///
/// ```ignore
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
///     retry(count = 5, backoff = "1s")
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
/// A job is an `async` method with `&mut self`, `&self` or no receiver, and the `Context` if it
/// wants it. It returns nothing, a `Then`, or a `Result` of either. A job that has no method is run
/// by `handle_job(&mut self, job: &str, cx: Context)`, if there is one, which returns the same;
/// so are those that are made at run time. `handle_init(&mut self) -> Result<()>`,
/// `handle_error(&mut self, job: &str, cx: Context, error: &BoxError) -> Verdict` and
/// `handle_stop(&mut self)` are those of the trait `Periodic`.
///
/// # Attributes
///
/// Each at most once; all but `name` and `jobs` may be left out. Values are literals, and times are
/// written as for `derive(Job)`. Expressions, intervals and zones are checked when the program is
/// compiled.
///
/// | name | value | default |
/// |---|---|---|
/// | `name` | its name: 1 to 64 ASCII letters, digits, `_`, `-` or `.` | |
/// | `jobs` | `jobs(prune = "*/15 * * * * *", tidy = "90s", poll = 5000, later)`: each with a cron expression of five, six or seven fields, or an interval; one without a value gets its schedule at run time | |
/// | `queue` | the queue of its jobs | a queue of its name |
/// | `size` | jobs that run at once in this process | one per job and 4 |
/// | `zone` | the time zone of its cron expressions, by its IANA name | `"UTC"` |
/// | `retry` | `retry(count = 5, backoff = "1s")`: attempts in all, and the wait between them, in any form that `derive(Job)` takes | 5 attempts, `exponential("1s", "1m")` |
/// | `timeout` | the longest time for one attempt, or `"none"` | `"30m"` |
/// | `missed` | ticks that nobody was there to publish: `"skip"`, `"one"` or `all(100, "1h")`: at most so many, within that time | `"one"` |
/// | `overlap` | a tick while an earlier job is under way: `"allow"`, `"skip"` or `"queue_one"` | `"skip"` |
/// | `jitter` | each schedule ticks up to this much later, always by the same time | 0 |
/// | `lane` | `"high"`, `"normal"` or `"low"` | `"normal"` |
/// | `deploy` | the name of the deploy that is recorded with its schedules | `POOLDER_DEPLOY`, else when the program was built |
/// | `crate` | the path of the crate `poolder`, for those who re-export it | `"::poolder"` |
///
/// The type gets a function `scheduler(self)`, the builder with all of this in it.
#[proc_macro_attribute]
pub fn scheduler(list: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemImpl);
    scheduler::expand(list.into(), &item).into()
}

/// Makes the worker that it stands on a pool: a component for `Node::builder(client).add(MyPool)`,
/// with `MyPool::on(&client)` for those who give it work.
///
/// It stands on the `impl Worker for …`, and only calls what `Pool` offers: `MyPool::pool(self)`
/// is that pool.
///
/// ```ignore
/// #[poolder::pool(
///     name = "mypool",
///     size = 10,
///     mode = "round_robin",
///     retry(count = 5, backoff = "1s"),
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
/// | `size` | slots, 1 to 10000: of the whole fleet in an addressed mode, of each process otherwise | four per core; must be given in an addressed mode |
/// | `mode` | `"shared"`, `"round_robin"`, `"random"`, `"monotonic"`, `"phash"` or `"broadcast"` | `"shared"` |
/// | `retry(…)` | for jobs that bring no policy: `count` (attempts in all), `backoff`, `timeout`, `retry_for`, `crashes` as with `derive(Job)` | as with `derive(Job)` |
/// | `callbacks(…)` | names of functions, or `name = path::to::function`: each takes the arguments of an outcome and returns a future of a `Result<()>` | none |
/// | `hibernate_after` | the idle time after which a slot lets go of its worker, or `"none"` | `"none"` |
/// | `handover_timeout` | how long a job may go on when its slot moves; addressed modes only | `"3s"` |
/// | `retry_placement` | where a failed job waits: in front of its slot (`"block_slot"`), or in `due` while the slot goes on (`"reschedule"`); addressed modes only | `"block_slot"` for `"phash"`, else `"reschedule"` |
/// | `join_set` | the set of pools that the pool joins | none |
/// | `crate` | the path of the crate `poolder`, for those who re-export it | `"::poolder"` |
#[proc_macro_attribute]
pub fn pool(arguments: TokenStream, item: TokenStream) -> TokenStream {
    pool::expand(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
