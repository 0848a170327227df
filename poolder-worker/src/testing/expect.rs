//! The expectations that a test has of enqueued jobs, and the assertions.

use std::fmt::Write;
use std::time::Duration;

use poolder_core::captured::ListedJob;
use poolder_core::view::JobView;
use poolder_core::{Job, JobId, Lane, Timestamp};

/// The most characters of a payload in a table, and of the headers.
const MAX_CELL: usize = 60;
/// The most jobs in a table.
const MAX_ROWS: usize = 50;

/// Asserts that a job was enqueued: one of a type, which matches a pattern and has the options that
/// are named. Returns the first as a [`JobView`](poolder_core::view::JobView).
///
/// ```
/// # use std::time::Duration;
/// # use poolder_worker::testing::TestQueue;
/// # use poolder_worker::assert_enqueued;
/// # use poolder_core::{Job, Lane};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Welcome { user: u64 }
/// # impl Job for Welcome {
/// #     const KINDS: &'static [&'static str] = &["welcome"];
/// #     const QUEUE: &'static str = "mail";
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let queue = TestQueue::new();
/// let minute = Duration::from_secs(60);
/// queue.client().enqueue(Welcome { user: 7 }).after(minute).lane(Lane::Low).await.unwrap();
///
/// let job = assert_enqueued!(
///     queue, Welcome { user } if *user == 7, queue = "mail", lane = Lane::Low, after = minute
/// );
/// assert_eq!(job.payload_json().unwrap()["user"], 7);
/// # });
/// ```
///
/// The first argument is a [`TestQueue`](crate::testing::TestQueue) or a
/// [`Run`](crate::testing::Run), of which the jobs count that were enqueued while the attempt ran.
/// The options are `queue`, `lane`, `after`, `at`, `slot`, `header` (a pair), `id` (the name that
/// the enqueue gave) and `times` (how many such jobs there are).
///
/// # Panics
/// Panics when there is none, or another number than `times`. The text shows the jobs that were
/// enqueued.
#[macro_export]
macro_rules! assert_enqueued {
    ($of:expr, $job:pat $(if $guard:expr)? $(, $option:ident = $value:expr)* $(,)?) => {
        $crate::testing::Expected::new(
            &$of,
            ::std::stringify!($job $(if $guard)? $(, $option = $value)*),
        )
        $(.$option($value))*
        .found(|job| match job {
            $job $(if $guard)? => true,
            #[allow(unreachable_patterns, reason = "the pattern may match every job of its type")]
            _ => false,
        })
    };
}

/// Asserts that no job was enqueued that matches a pattern and has the options that are named, as
/// [`assert_enqueued!`](crate::assert_enqueued) takes them.
///
/// ```
/// # use poolder_worker::testing::TestQueue;
/// # use poolder_worker::refute_enqueued;
/// # use poolder_core::Job;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Charge { amount: u64 }
/// # impl Job for Charge { const KINDS: &'static [&'static str] = &["charge"]; }
/// # let queue = TestQueue::new();
/// refute_enqueued!(queue, Charge { .. });
/// refute_enqueued!(queue, Charge { amount: 100.. }, queue = "payments");
/// ```
///
/// # Panics
/// Panics when there is one. The text shows the jobs that were enqueued.
#[macro_export]
macro_rules! refute_enqueued {
    ($of:expr, $job:pat $(if $guard:expr)? $(, $option:ident = $value:expr)* $(,)?) => {
        $crate::testing::Expected::new(
            &$of,
            ::std::stringify!($job $(if $guard)? $(, $option = $value)*),
        )
        $(.$option($value))*
        .none_found(|job| match job {
            $job $(if $guard)? => true,
            #[allow(unreachable_patterns, reason = "the pattern may match every job of its type")]
            _ => false,
        })
    };
}

/// A place with enqueued jobs: a queue, or a run.
#[doc(hidden)]
pub trait HoldsJobs {
    /// Returns the jobs, in the order of their enqueues.
    fn listed(&self) -> Vec<ListedJob>;
}

/// The expectation that a test has of a job; made by the assertions.
#[doc(hidden)]
#[derive(Debug)]
pub struct Expected {
    jobs: Vec<ListedJob>,
    text: &'static str,
    queue: Option<String>,
    lane: Option<Lane>,
    after: Option<Duration>,
    at: Option<Timestamp>,
    slot: Option<u16>,
    id: Option<String>,
    headers: Vec<(String, String)>,
    times: Option<usize>,
}

impl Expected {
    /// Begins the expectation of a job among these. `text` is how the test wrote it.
    #[must_use]
    pub fn new(of: &impl HoldsJobs, text: &'static str) -> Self {
        Self {
            jobs: of.listed(),
            text,
            queue: None,
            lane: None,
            after: None,
            at: None,
            slot: None,
            id: None,
            headers: vec![],
            times: None,
        }
    }

    /// Expects this queue.
    #[must_use]
    pub fn queue(mut self, queue: impl AsRef<str>) -> Self {
        self.queue = Some(queue.as_ref().to_owned());
        self
    }

    /// Expects the lane that the enqueue gave.
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = Some(lane);
        self
    }

    /// Expects this delay, counted from the enqueue; zero for none.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = Some(delay);
        self
    }

    /// Expects this time until which the job waits.
    #[must_use]
    pub fn at(mut self, at: impl Into<Timestamp>) -> Self {
        self.at = Some(at.into());
        self
    }

    /// Expects this slot of an addressed pool.
    #[must_use]
    pub fn slot(mut self, slot: u16) -> Self {
        self.slot = Some(slot);
        self
    }

    /// Expects the id that is derived from this name.
    #[must_use]
    pub fn id(mut self, name: impl Into<String>) -> Self {
        self.id = Some(name.into());
        self
    }

    /// Expects a header of this name and value.
    #[must_use]
    pub fn header(mut self, (name, value): (impl Into<String>, impl Into<String>)) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Expects this number of such jobs.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// Returns the first job that is as expected.
    ///
    /// # Panics
    /// Panics when there is none, or another number than expected.
    #[track_caller]
    pub fn found<J: Job>(self, matches: impl Fn(&J) -> bool) -> JobView {
        let (found, text) = (self.all(matches), self.text);
        match (self.times, found.first()) {
            (None, None) => panic!("no job was enqueued as {text}\n{}", table(&self.jobs)),
            (Some(times), _) if times != found.len() => panic!(
                "{} enqueued, not {times}, as {text}\n{}",
                count(found.len()),
                table(&self.jobs)
            ),
            (_, Some(first)) => first.view.clone(),
            (_, None) => panic!("times = 0: use refute_enqueued! for {text}"),
        }
    }

    /// Checks that no job is as expected.
    ///
    /// # Panics
    /// Panics when there is one.
    #[track_caller]
    pub fn none_found<J: Job>(self, matches: impl Fn(&J) -> bool) {
        let found = self.all(matches).len();
        let (count, text) = (count(found), self.text);
        assert!(found == 0, "{count} enqueued as {text}\n{}", table(&self.jobs));
    }

    fn all<J: Job>(&self, matches: impl Fn(&J) -> bool) -> Vec<&ListedJob> {
        let wanted = |job: &&ListedJob| {
            let raw = job.view.payload().filter(|raw| J::KINDS.contains(&raw.kind));
            let read = raw.and_then(|raw| J::decode(raw).ok());
            read.is_some_and(|read| matches(&read)) && self.has_options(job)
        };
        self.jobs.iter().filter(wanted).collect()
    }

    fn has_options(&self, job: &ListedJob) -> bool {
        let (view, partition) = (&job.view, &job.view.handle.partition);
        let named = |name: &String| JobId::named(&partition.queue, name);
        let headers = view.headers();
        self.queue.as_ref().is_none_or(|queue| partition.queue.as_str() == queue)
            && self.lane.is_none_or(|lane| view.counters.home() == lane)
            && self.after.is_none_or(|after| job.delay() == after)
            && self.at.is_none_or(|at| job.due == Some(at))
            && self.slot.is_none_or(|slot| partition.index == slot)
            && self.id.as_ref().map(named).is_none_or(|id| view.id() == id)
            && self.headers.iter().all(|(name, value)| headers.get(name) == Some(value))
    }
}

/// Returns a number of jobs as the subject of a sentence.
fn count(jobs: usize) -> String {
    match jobs {
        1 => "1 job was".into(),
        jobs => format!("{jobs} jobs were"),
    }
}

/// Returns the jobs as a table.
pub(super) fn table(jobs: &[ListedJob]) -> String {
    if jobs.is_empty() {
        return "no job was enqueued at all".into();
    }
    let head = ["kind", "queue", "lane", "after", "state", "payload", "headers"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(jobs.iter().take(MAX_ROWS).map(row));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "  {}", line.trim_end());
    }
    match jobs.len().saturating_sub(MAX_ROWS) {
        0 => text.truncate(text.trim_end().len()),
        more => _ = write!(text, "  and {more} more"),
    }
    text
}

fn row(job: &ListedJob) -> [String; 7] {
    let view = &job.view;
    let partition = &view.handle.partition;
    let queue = match partition.index {
        0 => partition.queue.to_string(),
        slot => format!("{} slot {slot}", partition.queue),
    };
    let delay = job.delay();
    let after = if delay.is_zero() { String::new() } else { format!("{delay:?}") };
    let payload = view.payload_json().map_or_else(|error| error.to_string(), |it| it.to_string());
    let headers: Vec<String> =
        view.headers().iter().map(|(name, value)| format!("{name}: {value}")).collect();
    [
        view.kind().unwrap_or_default().to_owned(),
        queue,
        view.counters.home().to_string(),
        after,
        view.state.to_string(),
        cut(&payload),
        cut(&headers.join(", ")),
    ]
}

/// Returns the first characters of a text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns the jobs of one type.
pub(super) fn decoded<J: Job>(jobs: &[JobView]) -> Vec<J> {
    let raw = jobs.iter().filter_map(JobView::payload);
    let own = raw.filter(|raw| J::KINDS.contains(&raw.kind));
    own.map(|raw| J::decode(raw).unwrap_or_else(|error| panic!("{error}"))).collect()
}
