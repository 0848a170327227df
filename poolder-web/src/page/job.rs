//! The page of a job: why it does not run, its walk, its payload and its last error.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use poolder_client::{Explanation, JobResult};
use poolder_core::view::JobView;
use poolder_core::{Handle, JobState, Timestamp};
use serde_json::Value;

use super::answer::answer;
use super::change::{self, Buttons};
use super::charts;
use super::frame::Frame;
use super::job_command::command;
use super::timeline::{self, since};
use crate::look::Past;
use crate::request::{Context, Fault};
use crate::show::{Chart, Shown, Table, icon, number, payload, span, with_class};

/// One line of the explanation.
#[derive(Debug)]
struct CheckLine {
    icon: String,
    state: &'static str,
    name: String,
    text: String,
}

#[derive(Debug, Template)]
#[template(path = "job.html")]
struct JobPage {
    frame: Frame,
    buttons: Buttons,
    queues_link: String,
    queue: String,
    queue_link: String,
    kind: String,
    id: String,
    state: &'static str,
    state_tone: &'static str,
    state_icon: String,
    question: &'static str,
    verdict: String,
    hint: String,
    checks: Vec<CheckLine>,
    explained: String,
    counted: String,
    timeline: String,
    attempts: Table,
    progress: Option<(String, String, String)>,
    payload: Option<Shown>,
    error: String,
    like_it: String,
    /// The link to the blast radius; empty when no node died while the job ran.
    blast: String,
    /// The command that enqueues a job like it.
    command: String,
    facts: Vec<(String, String)>,
    chart: Option<Chart>,
    result: String,
}

/// Answers with the page of a job.
pub(crate) async fn job(context: Context, Path(handle): Path<String>) -> Response {
    let page = page(&context, &handle).await;
    answer(&context, page).await
}

async fn page(context: &Context, text: &str) -> Result<JobPage, Fault> {
    let handle: Handle = text.parse()?;
    let queue = handle.partition.queue.to_string();
    context.must_see(&queue)?;
    let (looks, job) = (&context.shared.looks, context.shared.client.job(&handle));
    let (fleet, history, view, explained, progress) = tokio::join!(
        looks.fleet(),
        looks.history(context.range()),
        job.view(),
        job.explain(),
        job.progress(),
    );
    let (fleet, view, explained) = (fleet?, view?, explained?);
    let kind = view.as_ref().and_then(JobView::kind).unwrap_or("job").to_owned();
    let frame = Frame::new(context, format!("{kind} in {queue}"), "/jobs", Some(&fleet)).await;
    let state = view.as_ref().map(|view| view.state).or(explained.state);
    let result = match &view {
        None => job.result::<Value>().await?,
        Some(_) => JobResult::Pending,
    };
    if view.is_none() && matches!(result, JobResult::NotFound) && state.is_none() {
        return Err(Fault::not_found(explained.reason));
    }
    let found = view.as_ref().map_or_else(|| handle.clone(), |view| view.handle.clone());
    let chart = history.ok().filter(|_| view.is_some()).and_then(|history| {
        let is_this =
            |it: &&poolder_core::history::HistorySeries| it.queue == queue && it.kind == kind;
        let series = history.value.series.iter().find(is_this)?;
        let past = Past::of(&history.value, Some(series));
        Some(charts::runs(&past, &format!("Run time of {kind}")))
    });
    let now = fleet.value.now;
    let failure = view.as_ref().and_then(JobView::failure).map(ToString::to_string);
    let group = view.as_ref().and_then(JobView::error);
    let like_it = group.map(|group| {
        let filter = poolder_core::view::Filter::any().error(group).to_string();
        let state = if state == Some(JobState::Dead) { "dead" } else { "retrying" };
        let path =
            format!("/queues/{queue}?state={state}&where={}", crate::request::encoded(&filter));
        context.link(&path)
    });
    Ok(JobPage {
        frame,
        buttons: change::of_job(context, &found, state),
        queues_link: context.link("/queues"),
        queue_link: context.link(&format!("/queues/{queue}")),
        queue,
        kind,
        id: handle.job.to_string(),
        state: state.map_or("unknown", JobState::as_str),
        state_tone: tone(state),
        state_icon: icon(state.map_or("line", JobState::as_str)),
        question: question(state),
        verdict: sentence(&explained.reason),
        hint: explained.hint.as_deref().map(sentence).unwrap_or_default(),
        checks: checks(&explained),
        explained: explained.to_string(),
        counted: view.as_ref().map(timeline::counted).unwrap_or_default(),
        timeline: view.as_ref().map(|it| timeline::picture(it, now)).unwrap_or_default(),
        attempts: view.as_ref().map(|it| timeline::table(it, now)).unwrap_or_default(),
        progress: progress.ok().flatten().map(progress_bar),
        payload: view.as_ref().map(|view| payload(view, |value| context.redact(view, value))),
        error: failure.unwrap_or_default(),
        like_it: like_it.unwrap_or_default(),
        blast: match &view {
            Some(view) if view.counters.crashes > 0 => {
                context.link(&format!("/blast/{}", view.handle))
            }
            _ => String::new(),
        },
        command: view.as_ref().map(|view| command(context, view)).unwrap_or_default(),
        facts: view.as_ref().map(|view| facts(view, now)).unwrap_or_default(),
        chart,
        result: ended(&result),
    })
}

fn question(state: Option<JobState>) -> &'static str {
    match state {
        Some(JobState::Running) => "How does it run?",
        Some(JobState::Completed | JobState::Cancelled) => "How did it end?",
        _ => "Why is it not running?",
    }
}

pub(super) fn tone(state: Option<JobState>) -> &'static str {
    match state {
        Some(JobState::Running | JobState::Completed) => "ok",
        Some(JobState::Retrying | JobState::Cancelled) => "warn",
        Some(JobState::Dead) => "bad",
        Some(JobState::Scheduled) => "later",
        _ => "",
    }
}

/// Returns a text as a sentence: with a full stop, and a capital letter unless it begins with a name.
pub(super) fn sentence(text: &str) -> String {
    let is_name = |c: char| !c.is_ascii_lowercase();
    let text = text.trim();
    if text
        .split_whitespace()
        .next()
        .is_some_and(|word| word.trim_end_matches([',', ':']).contains(is_name))
    {
        return if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") };
    }
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let sentence = first.to_uppercase().chain(chars).collect::<String>();
    if sentence.ends_with(['.', '!', '?']) { sentence } else { sentence + "." }
}

fn checks(explained: &Explanation) -> Vec<CheckLine> {
    let line = |check: &poolder_client::Check| CheckLine {
        icon: if check.ok { with_class("yes", "ok") } else { with_class("no", "warn") },
        state: if check.ok { "ok" } else { "the reason" },
        name: check.name.to_owned(),
        text: sentence(&check.text),
    };
    explained.checks.iter().map(line).collect()
}

fn progress_bar((done, total): (u64, u64)) -> (String, String, String) {
    (
        number(done),
        number(total),
        crate::show::meter(done as f64 / total.max(1) as f64 * 0.89, (600, 8)),
    )
}

fn facts(view: &JobView, now: Timestamp) -> Vec<(String, String)> {
    let policy = view.policy();
    let at = match view.state {
        _ if view.waits_behind() => "Waits",
        JobState::Running => "Runs since",
        JobState::Dead => "Died",
        JobState::Scheduled | JobState::Retrying => "Due",
        JobState::Completed | JobState::Cancelled => "Ended",
        _ => "Waits since",
    };
    let timeout = policy.timeout.map_or("no timeout".into(), |it| format!("timeout {}", span(it)));
    let own = if view.own_policy().is_some() { "" } else { " (of the pool, or the default)" };
    let mut facts = vec![
        ("Partition and lane".into(), format!("{}, {}", view.handle.partition, view.lane.as_str())),
        (
            at.into(),
            match view.waits_behind() {
                true => "behind the job that holds its unique key".into(),
                false => since(view.at, now),
            },
        ),
        ("Attempt".into(), format!("{} of {}, {timeout}{own}", view.attempt(), policy.attempts)),
        ("Next fence".into(), number(view.counters.deliveries.saturating_add(1))),
    ];
    if let Some(group) = view.group() {
        facts.push(("Group".into(), group.to_owned()));
    }
    if let Some(at) = view.expires_at() {
        let past = if at > now { "Expires" } else { "Expired" };
        facts.push((past.into(), since(at, now)));
    }
    if let Some(end) = &view.end {
        facts.push(("Ran for".into(), span(end.took)));
        facts.extend(end.reason.clone().map(|reason| ("Cancelled since".into(), reason)));
    }
    if let Some(node) = &view.node {
        facts.push(("Node".into(), node.clone()));
    }
    if let Some(raw) = view.payload() {
        facts.push(("Payload version".into(), raw.version.to_string()));
    }
    if let Some(trace) = view.trace_parent() {
        facts.push(("Trace".into(), trace.to_string()));
    }
    facts.extend(view.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    facts.push(("Handle".into(), view.handle.to_string()));
    facts
}

fn ended(result: &JobResult<Value>) -> String {
    match result {
        JobResult::Value(value) => {
            crate::show::cut(&serde_json::to_string_pretty(value).unwrap_or_default(), 64 * 1_024)
        }
        JobResult::NoValue => "It ended without a result.".into(),
        JobResult::Cancelled(reason) => format!("It was cancelled: {reason}"),
        JobResult::Dead(failure) => failure.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_sentences() {
        assert_eq!(sentence("the queue is paused"), "The queue is paused.");
        assert_eq!(sentence("mail.welcome v1 is dead"), "mail.welcome v1 is dead.");
        assert_eq!((sentence(""), sentence("Why?")), (String::new(), "Why?".into()));
    }
}
