//! The output of a command: data to standard output, in the form that was asked for, and all else
//! to standard error.
//!
//! | file | contents |
//! |---|---|
//! | `progress` | the line of progress of long work |
//! | `table` | tables for people |
//! | `text` | numbers, durations, moments and foreign text |

mod progress;
mod table;
mod text;

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

pub(crate) use progress::Progress;
pub(crate) use table::{Cell, Table, Tone};
use text::safe_lines;
pub(crate) use text::{NOTHING, bytes, count, cut, duration, moment, number, one_line, second};

use crate::failure::{Exit, Failure};

/// The forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Tables and sentences for people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON value per line.
    Ndjson,
    /// The ids or names alone, one per line, as the arguments of another command.
    Ids,
}

/// When the output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

impl Colour {
    /// Returns true when standard output is to be coloured.
    pub(crate) fn is_on(self) -> bool {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => io::stdout().is_terminal() && !set("NO_COLOR") && !is_dumb,
        }
    }
}

/// A part of the output for people.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Block {
    Table(Table),
    Lines(String),
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    value: Value,
    items: Option<&'static str>,
    ids: Vec<String>,
    blocks: Vec<Block>,
    notes: Vec<String>,
    /// True when the command has written its data itself.
    is_written: bool,
    pub(crate) exit: Exit,
}

impl Report {
    /// Creates a report whose JSON form is this value.
    pub(crate) fn new(value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        let (items, ids, blocks, notes) = (None, vec![], vec![], vec![]);
        Self { value, items, ids, blocks, notes, is_written: false, exit: Exit::Done }
    }

    /// Creates the report of a command that has written its data itself.
    pub(crate) fn written() -> Self {
        Self { is_written: true, ..Self::new(Value::Null) }
    }

    /// Creates the report of a command that has nothing to write.
    #[cfg(feature = "top")]
    pub(crate) fn empty() -> Self {
        Self::new(Value::Array(vec![]))
    }

    /// Names the field of the document that has the list of which NDJSON writes one item a line. A
    /// document that is a list itself needs none.
    pub(crate) fn items(mut self, field: &'static str) -> Self {
        self.items = Some(field);
        self
    }

    /// Adds the ids that are written when only ids are asked for.
    pub(crate) fn ids(mut self, ids: impl IntoIterator<Item = impl ToString>) -> Self {
        self.ids.extend(ids.into_iter().map(|id| id.to_string()));
        self
    }

    /// Adds a table for people, unless it has no rows.
    pub(crate) fn table(mut self, table: Table) -> Self {
        if !table.is_empty() {
            self.blocks.push(Block::Table(table));
        }
        self
    }

    /// Adds a line for people.
    pub(crate) fn line(mut self, line: impl AsRef<str>) -> Self {
        self.blocks.push(Block::Lines(one_line(line.as_ref()) + "\n"));
        self
    }

    /// Adds lines for people, with their spaces.
    pub(crate) fn lines(mut self, lines: impl AsRef<str>) -> Self {
        self.blocks.push(Block::Lines(safe_lines(lines.as_ref())));
        self
    }

    /// Adds a text for another program, which is written as it is.
    pub(crate) fn raw(mut self, text: String) -> Self {
        self.blocks.push(Block::Lines(text));
        self
    }

    /// Adds a remark for standard error.
    pub(crate) fn note(mut self, note: impl AsRef<str>) -> Self {
        self.notes.push(one_line(note.as_ref()));
        self
    }

    /// Adds a failure with one of several subjects: the others are reported all the same, and the
    /// exit code is that of the first failure.
    pub(crate) fn failed(mut self, failure: &Failure) -> Self {
        self.notes.push(failure.to_string());
        if self.exit == Exit::Done {
            self.exit = failure.exit;
        }
        self
    }

    /// Sets the exit code.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Returns the text for standard output.
    pub(crate) fn show(&self, form: Form, coloured: bool) -> String {
        match form {
            _ if self.is_written => String::new(),
            Form::Table => {
                let show = |block: &Block| match block {
                    Block::Table(table) => table.show(coloured),
                    Block::Lines(lines) => lines.clone(),
                };
                let blocks: Vec<String> = self.blocks.iter().map(show).collect();
                blocks.concat()
            }
            Form::Json => format!("{:#}\n", self.value),
            Form::Ndjson => {
                let list = self.items.map_or(&self.value, |field| &self.value[field]);
                let one = || std::slice::from_ref(list);
                let lines = list.as_array().map_or_else(one, Vec::as_slice);
                lines.iter().map(|line| format!("{line}\n")).collect()
            }
            Form::Ids => self.ids.iter().map(|id| format!("{id}\n")).collect(),
        }
    }

    /// Writes the report. A reader that closes its end early, as `head` does, is no failure.
    ///
    /// # Errors
    /// Returns an error when standard output cannot be written, on a full disk for example.
    pub(crate) fn print(&self, form: Form, coloured: bool) -> io::Result<()> {
        for note in &self.notes {
            remark(note);
        }
        write(&self.show(form, coloured))
    }
}

/// Writes text to standard output.
///
/// # Errors
/// As [`Report::print`].
pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a remark to standard error, which may be closed.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_has_four_forms() {
        let mut table = Table::new(&["ID"]);
        table.row(["a".into()]);
        let report = Report::new(json!([{ "id": "a" }, { "id": "b" }]))
            .ids(["a", "b"])
            .table(table)
            .line("two\njobs");
        assert_eq!(report.show(Form::Table, false), "ID\na\ntwo jobs\n");
        assert_eq!(report.show(Form::Ndjson, false), "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
        assert_eq!(report.show(Form::Ids, false), "a\nb\n");
        let document: Value = serde_json::from_str(&report.show(Form::Json, false)).unwrap();
        assert_eq!(document[1]["id"], "b");
        // A document without a list is one line, and an empty list is none.
        assert_eq!(Report::new(json!({ "a": 1 })).show(Form::Ndjson, false), "{\"a\":1}\n");
        assert_eq!(Report::new(json!([])).show(Form::Ndjson, false), "");
    }
}
