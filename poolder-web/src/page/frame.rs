//! The frame of all pages: the bar on top, the list of pages, the message and the reason why the
//! numbers are old.

use std::time::Duration;

use askama::Template;
use poolder_core::JobId;
use poolder_core::view::QueueView;

use crate::look::{Fleet, Range, Seen};
use crate::request::{Assets, Context, Fault};
use crate::show::{icon, number, span};

/// The frame of a page.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) base: String,
    pub(crate) home: String,
    pub(crate) title: String,
    pub(crate) path: String,
    pub(crate) theme: &'static str,
    pub(crate) namespace: String,
    pub(crate) server: String,
    pub(crate) pages: Vec<Vec<PageLink>>,
    pub(crate) ranges: Vec<RangeLink>,
    pub(crate) visitor: String,
    /// The path of the stream of the page; empty for a page that is not live.
    pub(crate) live: String,
    /// The sentence about the change that was just made.
    pub(crate) said: String,
    /// The reason why the numbers are old.
    pub(crate) away: String,
    pub(crate) assets: &'static Assets,
}

#[derive(Debug)]
pub(crate) struct PageLink {
    pub(crate) name: &'static str,
    pub(crate) link: String,
    pub(crate) icon: String,
    pub(crate) is_here: bool,
    pub(crate) count: String,
    pub(crate) tone: &'static str,
}

#[derive(Debug)]
pub(crate) struct RangeLink {
    pub(crate) name: &'static str,
    pub(crate) link: String,
    pub(crate) is_here: bool,
}

/// The pages: name, path, icon.
const PAGES: [&[(&str, &str, &str)]; 3] = [
    &[
        ("Overview", "/", "overview"),
        ("Queues", "/queues", "queues"),
        ("Jobs", "/jobs", "jobs"),
        ("Dead", "/jobs?state=dead", "dead"),
        ("Errors", "/errors", "errors"),
        ("Schedules", "/schedules", "schedules"),
    ],
    &[
        ("Batches", "/batches", "batches"),
        ("Pools and keys", "/pools", "pools"),
        ("Nodes", "/nodes", "nodes"),
        ("Kinds", "/kinds", "kinds"),
    ],
    &[
        ("Journal", "/journal", "journal"),
        ("Audit", "/audit", "audit"),
        ("Server", "/server", "server"),
    ],
];

impl Frame {
    /// Makes the frame of a page; `here` is the path of the page in the list of pages.
    pub(crate) async fn new(
        context: &Context,
        title: impl Into<String>,
        here: &str,
        fleet: Option<&Seen<Fleet>>,
    ) -> Self {
        let counted = fleet.map(|fleet| counts(context, &fleet.value)).unwrap_or_default();
        let page = |(name, path, image): &(&'static str, &'static str, &str)| {
            let found = counted.iter().find(|(of, ..)| of == name);
            PageLink {
                name,
                link: context.link(path),
                icon: icon(image),
                is_here: *path == here,
                count: found.map_or_else(String::new, |(_, count, _)| number(*count)),
                tone: found.map_or("", |(.., tone)| tone),
            }
        };
        let access = context.visitor.access();
        let visitor = match context.visitor.actor.as_str() {
            "" => access.to_string(),
            actor => format!("{actor}, {access}"),
        };
        Self {
            base: context.base.clone(),
            home: context.link("/"),
            title: title.into(),
            path: context.path.clone(),
            theme: context.theme,
            namespace: context.shared.client.broker().namespace().to_owned(),
            server: match fleet {
                Some(fleet) => server(context, &fleet.value).await,
                None => String::new(),
            },
            pages: PAGES.iter().map(|group| group.iter().map(page).collect()).collect(),
            ranges: vec![],
            visitor,
            live: String::new(),
            said: context.said.clone(),
            away: fleet.map_or_else(String::new, away),
            assets: Assets::names(),
        }
    }

    /// Adds the choice of the range, as links to the page itself.
    pub(crate) fn with_ranges(mut self, context: &Context, path: &str) -> Self {
        let chosen = context.range();
        let link = |range: Range| RangeLink {
            name: range.said(),
            link: format!("{}?range={}", context.link(path), range.name()),
            is_here: range == chosen,
        };
        self.ranges = Range::ALL.map(link).into();
        self
    }

    /// Makes the page live.
    pub(crate) fn live(self, context: &Context, path: &str) -> Self {
        let live = format!("{}/live{path}?range={}", context.base, context.range().name());
        Self { live, ..self }
    }
}

/// Returns the numbers beside the names of pages.
fn counts(context: &Context, fleet: &Fleet) -> Vec<(&'static str, u64, &'static str)> {
    let queues = context.queues(fleet);
    let sum = |of: fn(&QueueView) -> u64| queues.iter().map(|view| of(view)).sum::<u64>();
    let waiting = sum(|view| view.ready() + view.running() + view.due);
    let dead = sum(|view| view.dead);
    vec![
        ("Queues", queues.len() as u64, ""),
        ("Jobs", waiting, ""),
        ("Dead", dead, if dead > 0 { "bad" } else { "" }),
        ("Nodes", fleet.nodes.len() as u64, ""),
    ]
}

/// Returns the name of the server and the time of its answers.
async fn server(context: &Context, fleet: &Fleet) -> String {
    let names = context.shared.looks.names().await;
    let Some((first, others)) = names.split_first() else { return String::new() };
    let others = match others.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let answers = fleet.answers.as_secs_f64() * 1_000.0;
    format!("{first}{others}, answers in {answers:.1} ms")
}

/// Returns the reason why the numbers are old.
pub(super) fn away(fleet: &Seen<Fleet>) -> String {
    match &fleet.error {
        Some(error) => format!("The numbers are {} old: {error}", span(fleet.age)),
        None => String::new(),
    }
}

/// Returns how old the numbers are.
pub(super) fn as_of(fleet: &Seen<Fleet>) -> String {
    let tenths = fleet.age.as_millis() / 100;
    match fleet.age {
        age if age < Duration::from_secs(10) => {
            format!("as of {}.{} s ago", tenths / 10, tenths % 10)
        }
        age => format!("as of {} ago", span(age)),
    }
}

/// The page in place of one that cannot be shown.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    frame: Frame,
    text: String,
}

impl ErrorPage {
    pub(crate) async fn new(context: &Context, fault: Fault) -> Self {
        Self { frame: Frame::new(context, fault.title, "", None).await, text: fault.text }
    }
}

/// Returns an id as lists show it: its first and last characters.
pub(super) fn short(job: JobId) -> String {
    let id = job.to_string();
    match (id.get(..8), id.get(id.len().saturating_sub(4)..)) {
        (Some(first), Some(last)) => format!("{first}…{last}"),
        _ => id,
    }
}
