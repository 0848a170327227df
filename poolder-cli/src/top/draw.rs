//! Drawing of a view. It depends on nothing but the view and the size of the terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::view::{Overlay, Tab, View};
use crate::output::{Cell, Table, Tone, cut};

/// The most lines about what needs a person.
const ATTENTION: usize = 2;
/// The width from which on the name of the program is shown.
const WIDE: u16 = 100;
/// The width below which a column is not made narrower.
const NARROWEST: usize = 8;

const HELP: &str = "\
1 to 6, ← →, Tab  other tabs         Enter  open the row
j k, ↑ ↓          other rows         Esc    back
PgUp PgDn, g G    far, first, last   /      filter the rows
h l               pages of jobs      q      quit
x                 choose the row     A      choose all rows, or none

Queues     p pause   r resume
           D drain: delete what waits   P purge: delete the dead
Jobs       s ready, running, due, dead   r run now, or revive
           C cancel   K bury   X remove
Errors     R retry all jobs of the error   B bury those that wait
Schedules  p pause   r resume   e enqueue its job once
Nodes      Q take no more jobs   r take jobs again   S stop

Other keys in upper case are dangerous, and ask first. So does any
change of several chosen rows.";

/// Draws the whole screen.
pub(super) fn screen(frame: &mut Frame<'_>, view: &View, coloured: bool) {
    let paint = Paint { coloured };
    let facts = paint.facts(&view.pane, usize::from(frame.area().width));
    let attention = view.attention.len().min(ATTENTION);
    let taken = u16::try_from(attention).unwrap_or(0);
    let pane = pane_height(facts.len(), view.table.rows().len(), frame.area().height, taken);
    let [head, sums, calls, title, table, below, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(taken),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(pane),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(paint.head(view, head.width), head);
    frame.render_widget(paint.sums(view), sums);
    frame.render_widget(paint.attention(view, attention), calls);
    frame.render_widget(paint.title(view), title);
    paint.table(frame, table, view);
    draw_pane(frame, below, facts);
    frame.render_widget(
        Line::styled(format!(" {}", view.keys), Style::new().add_modifier(Modifier::DIM)),
        foot,
    );
    if let Some(overlay) = &view.overlay {
        paint.overlay(frame, overlay, &view.server);
    }
}

/// Returns the height of the pane with this many lines: the table keeps as many lines as it needs,
/// but no more than a third of the screen.
fn pane_height(lines: usize, rows: usize, height: u16, taken: u16) -> u16 {
    if lines == 0 {
        return 0;
    }
    let room = usize::from(height.saturating_sub(4 + taken));
    let table = (rows + 1).min(room / 3);
    u16::try_from((lines + 1).min(room - table)).unwrap_or(u16::MAX)
}

fn draw_pane(frame: &mut Frame<'_>, area: Rect, facts: Vec<Line<'_>>) {
    if area.height < 2 {
        return;
    }
    let rule = Line::raw("─".repeat(usize::from(area.width)));
    frame.render_widget(rule, Rect { height: 1, ..area });
    let inside = Rect { y: area.y + 1, height: area.height - 1, ..area };
    frame.render_widget(Paragraph::new(facts), inside);
}

/// The look of things, with and without colours.
struct Paint {
    coloured: bool,
}

impl Paint {
    fn tone(&self, tone: Tone) -> Style {
        match tone {
            Tone::Faint => Style::new().add_modifier(Modifier::DIM),
            _ if !self.coloured => Style::new(),
            Tone::Plain => Style::new(),
            Tone::Good => Style::new().fg(Color::Green),
            Tone::Warning => Style::new().fg(Color::Yellow),
            Tone::Bad => Style::new().fg(Color::Red),
        }
    }

    fn head(&self, view: &View, width: u16) -> Line<'static> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut tabs = vec![];
        for tab in Tab::ALL {
            let style =
                if tab == view.tab { bold.add_modifier(Modifier::REVERSED) } else { Style::new() };
            tabs.push(Span::styled(format!(" {} {} ", tab.index() + 1, tab.name()), style));
        }
        let took = view.took.map_or("no look yet ".to_owned(), |took| format!(" {took} ms "));
        let program = if width < WIDE { " " } else { " poolder " };
        let program = Span::styled(program, bold);
        let taken = program.width()
            + tabs.iter().map(Span::width).sum::<usize>()
            + Span::raw(&took).width();
        let room = usize::from(width).saturating_sub(taken);
        let namespace = cut(&view.namespace, room.min(24));
        let room = room.saturating_sub(Span::raw(&namespace).width());
        // The server is left out where there is no room for all of it.
        let server = format!("  {}", view.server);
        let server =
            Span::raw(if Span::raw(&server).width() < room { server } else { String::new() });
        let rest = " ".repeat(room.saturating_sub(server.width()));
        let mut line = Line::from(vec![program, Span::raw(namespace), server]);
        line.extend(tabs);
        line.extend([
            Span::raw(rest),
            Span::styled(took, Style::new().add_modifier(Modifier::DIM)),
        ]);
        line
    }

    fn sums(&self, view: &View) -> Line<'static> {
        let mut line = Line::from(" ");
        for (name, value) in &view.sums {
            line.push_span(Span::raw(format!("{name} ")));
            let style = self.tone(value.meaning()).add_modifier(Modifier::BOLD);
            line.push_span(Span::styled(value.text().to_owned(), style));
            line.push_span(Span::raw("   "));
        }
        line
    }

    /// Returns the lines about what needs a person.
    fn attention(&self, view: &View, most: usize) -> Paragraph<'static> {
        let more = view.attention.len().saturating_sub(most);
        let line = |(at, cell): (usize, &Cell)| {
            let style = self.tone(cell.meaning()).add_modifier(Modifier::BOLD);
            let rest =
                if at + 1 == most && more > 0 { format!(" (and {more} more)") } else { "".into() };
            Line::styled(format!(" ! {}{rest}", cell.text()), style)
        };
        let lines: Vec<Line<'_>> = view.attention.iter().take(most).enumerate().map(line).collect();
        Paragraph::new(lines)
    }

    /// Returns the line above the table: a message, else the title.
    fn title(&self, view: &View) -> Line<'static> {
        match &view.message {
            Some(message) => {
                let style = self.tone(message.meaning()).add_modifier(Modifier::BOLD);
                Line::styled(format!(" {}", message.text()), style)
            }
            None => Line::raw(format!(" {}", view.title)),
        }
    }

    fn table(&self, frame: &mut Frame<'_>, area: Rect, view: &View) {
        let (table, selected) = (&view.table, view.selected);
        if area.height == 0 || table.heads().is_empty() {
            return;
        }
        let has_marks = !view.marks.is_empty();
        let before = if has_marks { 3 } else { 1 };
        let columns = Columns::of(table, usize::from(area.width).saturating_sub(before));
        let heads: Vec<Cell> =
            table.heads().iter().map(|head| head.trim_start_matches('>').into()).collect();
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let line = self.row(table, &heads, &columns, " ".repeat(before)).patch_style(bold);
        frame.render_widget(line, Rect { height: 1, ..area });
        let room = usize::from(area.height) - 1;
        let first = selected.saturating_sub(room.saturating_sub(1));
        let rows = table.rows().iter().enumerate().skip(first).take(room);
        for (y, (index, row)) in (area.y + 1..).zip(rows) {
            let mut mark = if index == selected { ">" } else { " " }.to_owned();
            if has_marks {
                mark.push_str(if view.marks.contains(&index) { "x " } else { "  " });
            }
            let mut line = self.row(table, row, &columns, mark);
            if index == selected {
                line = line.style(Style::new().add_modifier(Modifier::REVERSED));
            }
            frame.render_widget(line, Rect { y, height: 1, ..area });
        }
    }

    fn row(&self, table: &Table, cells: &[Cell], columns: &Columns, mark: String) -> Line<'static> {
        let mut line = Line::from(mark);
        for ((cell, width), head) in cells.iter().zip(&columns.widths).zip(table.heads()) {
            let text = cut(cell.text(), *width);
            let room = " ".repeat(width.saturating_sub(Span::raw(&text).width()));
            let gap = Span::raw(" ".repeat(columns.gap));
            let span = Span::styled(text, self.tone(cell.meaning()));
            match head.starts_with('>') {
                true => line.extend([Span::raw(room), span, gap]),
                false => line.extend([span, Span::raw(room), gap]),
            }
        }
        line
    }

    /// Returns the lines of the pane: names and values, long values on several lines.
    fn facts(&self, facts: &[(String, Cell)], width: usize) -> Vec<Line<'static>> {
        let longest = facts.iter().map(|(name, _)| Span::raw(name).width()).max().unwrap_or(0);
        let room = width.saturating_sub(longest + 3).max(1);
        let mut lines = vec![];
        for (name, value) in facts {
            let letters: Vec<char> = value.text().chars().collect();
            let none = [String::new()];
            let parts: Vec<String> =
                letters.chunks(room).map(|part| part.iter().collect()).collect();
            let parts = if parts.is_empty() { &none[..] } else { &parts[..] };
            for (at, part) in parts.iter().enumerate() {
                let name = if at == 0 { name } else { "" };
                let rest = " ".repeat(longest.saturating_sub(Span::raw(name).width()));
                lines.push(Line::from(vec![
                    Span::raw(format!(" {name}{rest}  ")),
                    Span::styled(part.clone(), self.tone(value.meaning())),
                ]));
            }
        }
        lines
    }

    fn overlay(&self, frame: &mut Frame<'_>, overlay: &Overlay, server: &str) {
        let text = match overlay {
            Overlay::Help if server.is_empty() => HELP.to_owned(),
            Overlay::Help => format!("{HELP}\n\nserver  {server}"),
            Overlay::Question { text, answer } => {
                format!("{text}\n\n> {answer}_\n\nEnter go on · Esc leave it")
            }
        };
        let width = text.lines().map(|line| Span::raw(line).width()).max().unwrap_or(0) + 4;
        let height = text.lines().count() + 2;
        let (width, height) = (u16::try_from(width), u16::try_from(height));
        let area = frame.area().centered(
            Constraint::Length(width.unwrap_or(u16::MAX)),
            Constraint::Length(height.unwrap_or(u16::MAX)),
        );
        frame.render_widget(Clear, area);
        let title = if matches!(overlay, Overlay::Help) { " Help " } else { " Are you sure? " };
        let style = match overlay {
            Overlay::Help => Style::new(),
            Overlay::Question { .. } => self.tone(Tone::Bad),
        };
        let block = Block::bordered()
            .title(title)
            .border_style(style)
            .padding(ratatui::widgets::Padding::horizontal(1));
        frame.render_widget(Paragraph::new(text).block(block).wrap(Wrap { trim: false }), area);
    }
}

/// The columns of a table on the screen.
struct Columns {
    widths: Vec<usize>,
    gap: usize,
}

impl Columns {
    /// Makes the columns as wide as their widest cells, with a gap of two, else of one between
    /// them. Where they do not fit even then, the widest columns of text are made narrower.
    fn of(table: &Table, room: usize) -> Self {
        let heads = table.heads();
        let width = |head: &&str| head.trim_start_matches('>').chars().count();
        let mut widths: Vec<usize> = heads.iter().map(width).collect();
        for row in table.rows() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(Span::raw(cell.text()).width());
            }
        }
        let total = |widths: &[usize], gap| widths.iter().map(|width| width + gap).sum::<usize>();
        let gap = if total(&widths, 2) <= room + 2 { 2 } else { 1 };
        while total(&widths, gap) > room + gap {
            let texts = widths.iter_mut().zip(heads).filter(|(_, head)| !head.starts_with('>'));
            let widest = texts.map(|(width, _)| width).max();
            let Some(widest) = widest.filter(|width| **width > NARROWEST) else { break };
            *widest -= 1;
        }
        Self { widths, gap }
    }
}

#[cfg(test)]
mod tests;
