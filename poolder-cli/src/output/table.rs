//! Tables for people, with aligned columns.

use comfy_table::presets::NOTHING as NO_BORDERS;
use comfy_table::{Attribute, CellAlignment, Color, Table as Layout};

use super::text::one_line;

/// The meaning of a cell, shown by its colour beside its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Good,
    Warning,
    Bad,
    Faint,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: one_line(text.as_ref()), tone: Tone::Plain }
    }

    /// Returns a cell with bars, which keeps the spaces in front of them.
    #[cfg(feature = "top")]
    pub(crate) fn bars(text: String) -> Self {
        Self { text, tone: Tone::Good }
    }

    #[cfg(feature = "top")]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    #[cfg(feature = "top")]
    pub(crate) fn meaning(&self) -> Tone {
        self.tone
    }

    pub(crate) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// A table. A column whose head begins with `>` is aligned to the right; a table without heads is a
/// list of names and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(heads: &[&'static str]) -> Self {
        Self { heads: heads.to_vec(), rows: vec![] }
    }

    /// Returns a table of names and values.
    pub(crate) fn of_pairs<T: AsRef<str>>(pairs: impl IntoIterator<Item = (T, Cell)>) -> Self {
        let mut table = Self::new(&[]);
        pairs.into_iter().for_each(|(name, value)| table.row([name.into(), value]));
        table
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    #[cfg(feature = "top")]
    pub(crate) fn heads(&self) -> &[&'static str] {
        &self.heads
    }

    #[cfg(feature = "top")]
    pub(crate) fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the lines of the table, without white space at their ends.
    pub(super) fn show(&self, coloured: bool) -> String {
        let mut layout = Layout::new();
        layout.load_style(NO_BORDERS).style_text_only();
        match coloured {
            true => layout.enforce_styling(),
            false => layout.force_no_tty(),
        };
        if !self.heads.is_empty() {
            let head = |head: &&str| comfy_table::Cell::new(head.trim_start_matches('>'));
            layout.set_header(self.heads.iter().map(head));
        }
        layout.add_rows(self.rows.iter().map(|row| row.iter().map(styled)));
        for (at, column) in layout.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.heads.get(at).is_some_and(|head| head.starts_with('>')) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        layout.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

fn styled(cell: &Cell) -> comfy_table::Cell {
    let shown = comfy_table::Cell::new(&cell.text);
    match cell.tone {
        Tone::Plain => shown,
        Tone::Good => shown.fg(Color::Green),
        Tone::Warning => shown.fg(Color::Yellow),
        Tone::Bad => shown.fg(Color::Red),
        Tone::Faint => shown.add_attribute(Attribute::Dim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["NAME", ">JOBS", "STATE"]);
        table.row(["mäil".into(), "7".into(), Cell::new("paused").tone(Tone::Warning)]);
        table.row(["a longer name".into(), "12,403".into(), "ru\nns\u{1b}[2J".into()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [
            "NAME             JOBS  STATE",
            "mäil                7  paused",
            r"a longer name  12,403  ru ns\u{1b}[2J",
        ];
        assert_eq!(sample().show(false), lines.join("\n") + "\n");
    }

    #[test]
    fn colours_leave_the_columns_where_they_are() {
        let coloured = sample().show(true);
        assert!(coloured.contains("\u{1b}[38;5;11mpaused\u{1b}["), "{coloured:?}");
        let mut plain = String::new();
        let mut escape = false;
        for c in coloured.chars() {
            match c {
                '\u{1b}' => escape = true,
                'm' if escape => escape = false,
                _ if escape => {}
                c => plain.push(c),
            }
        }
        assert_eq!(plain, sample().show(false));
    }
}
