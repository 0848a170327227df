//! The shown part of the state: the rows that the filter leaves, the chosen one, the keys.

use super::App;
use crate::output::{Cell, Table, Tone, number};
use crate::top::view::{Rows, Subject, Tab, View};

impl App {
    /// Returns the rows, unless they are those of another tab, queue or listing.
    pub(super) fn rows(&self) -> Option<&Rows> {
        let want = self.wanted();
        let same = |rows: &&Rows| {
            rows.of.tab == want.tab
                && (want.tab != Tab::Jobs
                    || (rows.of.listing, &rows.of.after) == (want.listing, &want.after))
                && (want.queue.is_none()
                    || matches!(
                        want.tab,
                        Tab::Overview | Tab::Errors | Tab::Schedules | Tab::Nodes
                    )
                    || rows.of.queue == want.queue)
        };
        self.sample.rows.as_ref().filter(same)
    }

    /// Returns the rows that the filter leaves, and their subjects.
    pub(super) fn visible(&self) -> (Table, Vec<Subject>) {
        let Some(rows) = self.rows() else { return (Table::new(&[]), vec![]) };
        let filter = self.filter.to_lowercase();
        let mut table = Table::new(rows.table.heads());
        let mut subjects = vec![];
        for (row, subject) in rows.table.rows().iter().zip(&rows.subjects) {
            if row.iter().any(|cell| cell.text().to_lowercase().contains(&filter)) {
                table.row(row.iter().cloned());
                subjects.push(subject.clone());
            }
        }
        (table, subjects)
    }

    /// Returns the index of the chosen row.
    pub(super) fn index(&self) -> usize {
        let subjects = self.visible().1;
        let chosen = self.chosen.as_ref();
        let place = chosen.and_then(|chosen| subjects.iter().position(|one| one == chosen));
        place.unwrap_or(self.index).min(subjects.len().saturating_sub(1))
    }

    pub(super) fn subject(&self) -> Option<Subject> {
        self.visible().1.get(self.index()).cloned()
    }

    /// Returns the marked rows that are shown: one that has left the list, or that the filter hides,
    /// is not changed.
    pub(super) fn marked(&self) -> Vec<Subject> {
        let mut shown = self.visible().1;
        shown.retain(|one| self.marked.contains(one));
        shown
    }

    /// Returns the queue that the tabs of one queue show.
    pub(super) fn shown_queue(&self) -> Option<String> {
        let fact =
            |(name, value): &(String, Cell)| (name == "queue").then(|| value.text().to_owned());
        self.queue.clone().or_else(|| self.sample.pane.iter().find_map(fact))
    }

    fn keys(&self) -> &'static str {
        match self.tab {
            _ if self.is_filtering => "type to filter  Enter keep  Esc clear",
            Tab::Overview => {
                "Enter open  x choose  p pause  r resume  D drain  P purge  / filter  ? help"
            }
            Tab::Queue => {
                "Enter jobs  p pause  r resume  D drain  P purge dead  Esc back  ? help  q quit"
            }
            Tab::Jobs => {
                "Enter open  s state  x choose  r run  C cancel  K kill  X remove  h l  ? help"
            }
            Tab::Errors => {
                "Enter open  x choose  R retry all  B bury all  / filter  ? help  q quit"
            }
            Tab::Schedules => {
                "Enter open  x choose  p pause  r resume  e enqueue once  / filter  ? help"
            }
            Tab::Nodes => "x choose  Q quiet  r resume  S stop  / filter  ? help  q quit",
        }
    }

    /// Returns everything that the screen shows.
    pub(in crate::top) fn view(&self) -> View {
        let (table, subjects) = self.visible();
        let marks: Vec<usize> =
            (0..subjects.len()).filter(|at| self.marked.contains(&subjects[*at])).collect();
        let mut title = self.rows().map_or("…".to_owned(), |rows| rows.title.clone());
        if self.is_filtering || !self.filter.is_empty() {
            title += &format!("  /{}", self.filter);
        }
        if !self.pages.is_empty() {
            title += &format!("  page {}", self.pages.len() + 1);
        }
        if !marks.is_empty() {
            title += &format!("  {} chosen", number(marks.len() as u64));
        }
        let shows_pane = self.tab == Tab::Queue || self.opened.is_some();
        let error = self.sample.error.as_ref().map(|error| Cell::new(error).tone(Tone::Bad));
        View {
            namespace: self.namespace.clone(),
            server: self.sample.server.clone(),
            tab: self.tab,
            sums: self.sample.sums.clone(),
            attention: self.sample.attention.clone(),
            title,
            selected: self.index(),
            marks,
            table,
            pane: if shows_pane && self.rows().is_some() {
                self.sample.pane.clone()
            } else {
                vec![]
            },
            overlay: self.overlay.clone(),
            keys: self.keys(),
            message: error.or_else(|| self.message.clone()),
            took: self.sample.rows.as_ref().map(|_| self.sample.took),
        }
    }
}
