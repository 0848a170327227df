//! The values that the screen draws.

use poolder_core::Handle;
use poolder_core::history::ErrorId;
use poolder_core::view::{Cursor, Listing};

use crate::output::{Cell, Table};

/// The tabs of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Queue,
    Jobs,
    Errors,
    Schedules,
    Nodes,
}

impl Tab {
    pub(super) const ALL: [Self; 6] =
        [Self::Overview, Self::Queue, Self::Jobs, Self::Errors, Self::Schedules, Self::Nodes];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Queue => "Queue",
            Self::Jobs => "Jobs",
            Self::Errors => "Errors",
            Self::Schedules => "Schedules",
            Self::Nodes => "Nodes",
        }
    }

    pub(super) fn index(self) -> usize {
        Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0)
    }

    /// Returns the tab this many places to the right, from the last one on to the first.
    pub(super) fn moved(self, by: usize) -> Self {
        Self::ALL[(self.index() + by) % Self::ALL.len()]
    }
}

/// Returns the listing that the key `s` shows next.
pub(super) fn next_listing(listing: Listing) -> Listing {
    match listing {
        Listing::Ready => Listing::Running,
        Listing::Running => Listing::Due,
        Listing::Due => Listing::Dead,
        _ => Listing::Ready,
    }
}

/// The subject of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Queue(String),
    Job(Handle),
    /// A group of equal errors.
    Error(ErrorId),
    Schedule {
        queue: String,
        name: String,
    },
    Node(String),
    /// A row that nothing can be done with, such as a lane.
    Part,
}

/// The things that the sampler reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) tab: Tab,
    pub(super) queue: Option<String>,
    pub(super) listing: Listing,
    pub(super) after: Option<Cursor>,
    /// The row that is open, of which the pane shows more.
    pub(super) open: Option<Subject>,
}

/// One look at the server.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// The server's name and version, and the time of a ping.
    pub(super) server: String,
    /// The sums over all queues, with their names.
    pub(super) sums: Vec<(&'static str, Cell)>,
    /// The calls for a person, the worst first.
    pub(super) attention: Vec<Cell>,
    pub(super) rows: Option<Rows>,
    /// The open row, or facts about the queue.
    pub(super) pane: Vec<(String, Cell)>,
    /// The time of the look, in ms.
    pub(super) took: u64,
    /// The reason why there is no look.
    pub(super) error: Option<String>,
}

/// The rows of a tab.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    /// The tab, queue and listing that they are of.
    pub(super) of: Wanted,
    pub(super) title: String,
    pub(super) table: Table,
    pub(super) subjects: Vec<Subject>,
    /// The cursor of the next page.
    pub(super) next: Option<Cursor>,
}

/// A window above the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Overlay {
    Help,
    /// A question, and the answer so far.
    Question {
        text: String,
        answer: String,
    },
}

/// Everything on the screen.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) namespace: String,
    /// The server's name and version, and the time of a ping.
    pub(super) server: String,
    pub(super) tab: Tab,
    pub(super) sums: Vec<(&'static str, Cell)>,
    pub(super) attention: Vec<Cell>,
    pub(super) title: String,
    pub(super) table: Table,
    pub(super) selected: usize,
    /// The rows that the next action changes, where it is not the selected one.
    pub(super) marks: Vec<usize>,
    pub(super) pane: Vec<(String, Cell)>,
    pub(super) overlay: Option<Overlay>,
    pub(super) keys: &'static str,
    pub(super) message: Option<Cell>,
    pub(super) took: Option<u64>,
}
