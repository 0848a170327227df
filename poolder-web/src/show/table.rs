//! Tables: columns, rows and cells, as the templates draw them.

use askama::Template;
use poolder_core::view::JobView;
use serde_json::Value;

use super::escape::escaped;
use super::number::{UNKNOWN, number};
use super::payload::preview;

/// A table.
#[derive(Debug, Clone, Default, Template)]
#[template(path = "parts/table.html")]
pub(crate) struct Table {
    /// The subject of the table, for readers that do not see it.
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
    /// The sentence in place of a table without rows.
    pub(crate) none: &'static str,
}

/// A column.
#[derive(Debug, Clone, Default)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) class: &'static str,
    /// The order of the rows by this column, as `aria-sort` says it.
    pub(crate) sorted: &'static str,
    /// The link that sorts the rows by this column.
    pub(crate) link: String,
    /// True for a name that only readers of the page hear.
    pub(crate) is_unseen: bool,
}

/// A cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// Markup that is shown before the text.
    pub(crate) before: String,
    /// Markup that is shown after the text.
    pub(crate) after: String,
    pub(crate) link: Option<String>,
    pub(crate) class: String,
}

impl Table {
    pub(crate) fn new(caption: &str, columns: Vec<Column>) -> Self {
        Self { caption: caption.to_owned(), columns, rows: vec![], none: "There are none." }
    }

    pub(crate) fn or(self, none: &'static str) -> Self {
        Self { none, ..self }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Returns the class of a cell: its own, and that of its column.
    pub(crate) fn cell_class(&self, column: &usize, cell: &Cell) -> String {
        let of_column = self.columns.get(*column).map_or("", |column| column.class);
        format!("{of_column} {}", cell.class)
    }
}

impl Column {
    pub(crate) fn text(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    pub(crate) fn number(name: &'static str) -> Self {
        Self { class: "num", ..Self::text(name) }
    }

    pub(crate) fn class(self, class: &'static str) -> Self {
        Self { class, ..self }
    }

    pub(crate) fn unseen(self) -> Self {
        Self { is_unseen: true, ..self }
    }

    pub(crate) fn sort(self, link: String, sorted: &'static str) -> Self {
        Self { link, sorted, ..self }
    }
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Returns a cell of markup.
    pub(crate) fn markup(markup: impl Into<String>) -> Self {
        Self { before: markup.into(), ..Self::default() }
    }

    /// Returns a cell with a count; zeros are faint.
    pub(crate) fn count(count: u64) -> Self {
        let cell = Self::text(number(count));
        if count == 0 { cell.class("zero") } else { cell }
    }

    /// Returns a cell with a text, or the sign for one that is not known.
    pub(crate) fn known(text: &str) -> Self {
        if text.is_empty() { Self::text(UNKNOWN).class("zero") } else { Self::text(text) }
    }

    pub(crate) fn link(self, link: impl Into<String>) -> Self {
        Self { link: Some(link.into()), ..self }
    }

    pub(crate) fn class(self, class: &str) -> Self {
        Self { class: format!("{} {class}", self.class), ..self }
    }

    pub(crate) fn before(self, markup: impl Into<String>) -> Self {
        Self { before: markup.into(), ..self }
    }

    pub(crate) fn after(self, markup: impl Into<String>) -> Self {
        Self { after: markup.into(), ..self }
    }

    /// Adds a word in small print.
    pub(crate) fn small(mut self, text: &str, tone: &str) -> Self {
        self.after += &format!(" <span class=\"small {tone}\">{}</span>", escaped(text));
        self
    }

    /// Adds a chip: a word with an icon, in a tone.
    pub(crate) fn chip(mut self, icon: &str, word: &str, tone: &str) -> Self {
        self.after += &format!(
            " <span class=\"chip {tone}\">{}{}</span>",
            super::icon::icon(icon),
            escaped(word)
        );
        self
    }

    /// Returns a cell with the beginning of the payload of a job.
    pub(crate) fn payload(job: &JobView, redact: impl Fn(&mut Value)) -> Self {
        let shown = match job.payload_json() {
            Ok(mut value) => {
                redact(&mut value);
                preview(&value)
            }
            Err(_) => "cannot be read as JSON".into(),
        };
        Self::text(shown).class("cut mono faint")
    }
}
