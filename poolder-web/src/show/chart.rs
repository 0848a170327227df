//! Charts with axes, as SVG and as the data that the script of the page draws again at the width of
//! the screen.

use std::fmt::Write;
use std::time::Duration;

use poolder_core::Timestamp;
use serde_json::{Value, json};

use super::escape::escaped;
use super::number::{UNKNOWN, rate};
use super::table::{Cell, Column, Table};
use super::time::{clock, micros, tick};

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 22.0;

/// The way in which values become heights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Rates per second, from zero.
    Rate,
    /// Microseconds, each line of the grid ten times the one below.
    Times,
}

/// One series of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    /// The class of the stroke: `1` to `4` for the colours of the sheet; `b` for failures, which are
    /// bars on a scale of their own, since they are few beside all others.
    pub(crate) colour: char,
    pub(crate) values: Vec<f64>,
}

/// A moment that the chart names: a deploy, the death of a node, or several close together.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) at: Timestamp,
    pub(crate) text: String,
    /// True when a node has died.
    pub(crate) is_death: bool,
}

/// A chart of equal periods.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) from: Timestamp,
    pub(crate) step: Duration,
    pub(crate) scale: Scale,
    pub(crate) lines: Vec<Line>,
    pub(crate) marks: Vec<Mark>,
    /// Deploys and deaths of nodes, for the table of the chart.
    pub(crate) events: Vec<(Timestamp, String)>,
}

impl Chart {
    fn periods(&self) -> usize {
        self.lines.iter().map(|line| line.values.len()).max().unwrap_or(0)
    }

    fn at(&self, period: usize) -> Timestamp {
        self.from + self.step.saturating_mul(u32::try_from(period).unwrap_or(u32::MAX))
    }

    fn range(&self) -> Duration {
        self.step.saturating_mul(u32::try_from(self.periods()).unwrap_or(u32::MAX))
    }

    /// Returns the values of the lines of the grid, the lowest first.
    fn grid(&self) -> Vec<f64> {
        let lines = self.lines.iter().filter(|line| line.colour != 'b');
        let all = lines.flat_map(|line| &line.values).copied();
        let values: Vec<f64> = all.filter(|value| value.is_finite() && *value > 0.0).collect();
        let most = values.iter().copied().fold(0.0, f64::max);
        match self.scale {
            Scale::Rate => {
                let step = nice(most / 4.0);
                (0..=4).map(|at| f64::from(at) * step).collect()
            }
            Scale::Times => {
                let least = values.iter().copied().fold(f64::MAX, f64::min).clamp(1.0, 1e12);
                let first = least.log10().floor() as i32;
                let last = most.max(least).log10().ceil() as i32;
                (first..=last.max(first + 1)).map(|power| 10f64.powi(power)).collect()
            }
        }
    }

    fn height(&self, value: f64, grid: &[f64]) -> f64 {
        let (low, high) = (grid[0], grid[grid.len() - 1]);
        let part = match self.scale {
            Scale::Rate => value / high,
            Scale::Times => (value.max(low) / low).log10() / (high / low).log10(),
        };
        let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
        HEIGHT - part * (HEIGHT - TOP)
    }

    fn value(&self, value: f64) -> String {
        match self.scale {
            Scale::Rate => rate(value),
            Scale::Times if value <= 0.0 => UNKNOWN.into(),
            Scale::Times => micros(value as u64),
        }
    }

    /// Returns the events of a period; those after the last period are its own.
    fn events(&self, period: usize) -> String {
        let (from, is_last) = (self.at(period), period + 1 >= self.periods());
        let to = self.at(period + 1);
        let within = self.events.iter().filter(|(at, _)| *at >= from && (is_last || *at < to));
        let texts: Vec<&str> = within.map(|(_, text)| text.as_str()).collect();
        texts.join(", ")
    }

    /// Returns the chart as SVG.
    pub(crate) fn svg(&self) -> String {
        let (periods, grid) = (self.periods().max(2), self.grid());
        let x = |at: f64| LEFT + at * (WIDTH - LEFT) / (periods - 1) as f64;
        let mut shape = String::new();
        for value in &grid {
            let y = self.height(*value, &grid);
            // Writing to a string does not fail.
            let _ = write!(
                shape,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                self.value(*value)
            );
        }
        for part in 0..=4 {
            let period = (periods - 1) * part / 4;
            let anchor = if part == 4 { "end" } else { "middle" };
            let _ = write!(
                shape,
                "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                x(period as f64),
                HEIGHT + 18.0,
                tick(self.at(period), self.range())
            );
        }
        for mark in &self.marks {
            let at = mark.at.since(self.from).as_secs_f64() / self.step.as_secs_f64().max(1e-3);
            let (x, text) = (x(at.min(periods as f64 - 1.0)), escaped(&mark.text));
            let anchor = if x > WIDTH - 80.0 { "end" } else { "middle" };
            let bad = if mark.is_death { " is-bad" } else { "" };
            let _ = write!(
                shape,
                "<line class=\"mark{bad}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"14\" y2=\"{HEIGHT}\"/>\
                 <text class=\"mark-t{bad}\" x=\"{x:.1}\" y=\"8\" text-anchor=\"{anchor}\">{text}</text>",
            );
        }
        for line in &self.lines {
            shape += &self.drawn(line, &grid, &x);
        }
        format!(
            "<svg viewBox=\"0 -6 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{}\">{shape}</svg>",
            HEIGHT + 32.0,
            escaped(&self.title)
        )
    }

    fn drawn(&self, line: &Line, grid: &[f64], x: &dyn Fn(f64) -> f64) -> String {
        if line.colour == 'b' {
            return failures(line, x);
        }
        let mut points = String::new();
        for (at, value) in line.values.iter().enumerate() {
            let _ = write!(points, "{:.1},{:.1} ", x(at as f64), self.height(*value, grid));
        }
        let colour = line.colour;
        let under = match (self.scale, line.colour) {
            (Scale::Rate, '1') => format!(
                "<polygon class=\"a1\" points=\"{LEFT},{HEIGHT} {points}{:.1},{HEIGHT}\"/>",
                x(line.values.len().saturating_sub(1) as f64)
            ),
            _ => String::new(),
        };
        format!("{under}<polyline class=\"l{colour}\" points=\"{points}\"/>")
    }

    /// Returns the data of the chart, for the script of the page.
    pub(crate) fn data(&self) -> String {
        let seconds = |at: Timestamp| at.millis() as f64 / 1_000.0;
        let times: Vec<f64> = (0..self.periods()).map(|at| seconds(self.at(at))).collect();
        let lines = self.lines.iter().map(|line| {
            let value = |value: &f64| {
                let is_missing = self.scale == Scale::Times && *value <= 0.0;
                if is_missing { Value::Null } else { json!(value) }
            };
            let values: Vec<Value> = line.values.iter().map(value).collect();
            json!({ "name": line.name, "colour": line.colour.to_string(), "values": values })
        });
        let marks = self
            .marks
            .iter()
            .map(|it| json!({ "at": seconds(it.at), "text": it.text, "bad": it.is_death }));
        json!({
            "times": times,
            "scale": if self.scale == Scale::Rate { "rate" } else { "times" },
            "lines": lines.collect::<Vec<_>>(),
            "marks": marks.collect::<Vec<_>>(),
        })
        .to_string()
    }

    /// Returns the chart as a table, the last period first.
    pub(crate) fn table(&self) -> Table {
        let mut columns = vec![Column::text("From, UTC")];
        columns.extend(self.lines.iter().map(|line| Column::number(line.name)));
        if !self.events.is_empty() {
            columns.push(Column::text("Events"));
        }
        let mut table = Table::new(&self.title, columns);
        for period in (0..self.periods()).rev() {
            let mut row = vec![Cell::text(clock(self.at(period)))];
            let values = self.lines.iter().map(|line| line.values.get(period).copied());
            row.extend(values.map(|value| Cell::text(self.value(value.unwrap_or(0.0)))));
            if !self.events.is_empty() {
                row.push(Cell::text(self.events(period)).class("wrap"));
            }
            table.row(row);
        }
        table
    }
}

/// Returns bars up to two fifths of the height.
fn failures(line: &Line, x: &dyn Fn(f64) -> f64) -> String {
    let values = || line.values.iter().copied().enumerate().filter(|(_, value)| *value > 0.0);
    let most = values().map(|(_, value)| value).fold(0.0, f64::max);
    let width = ((x(1.0) - x(0.0)) * 0.6).clamp(1.0, 12.0);
    let mut shape = String::new();
    for (at, value) in values() {
        let part = (value / most).clamp(0.02, 1.0);
        let height = if part.is_finite() { part * 0.4 * (HEIGHT - TOP) } else { 0.0 };
        // Writing to a string does not fail.
        let _ = write!(
            shape,
            "<rect class=\"bad-bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"/>",
            (x(at as f64) - width / 2.0).clamp(LEFT, WIDTH - width),
            HEIGHT - height
        );
    }
    shape
}

/// Returns the next number above that people count by: 1, 2 or 5, and their tenfolds.
fn nice(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| step * power >= value);
    step.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: Scale, values: Vec<f64>) -> Chart {
        Chart {
            id: "c",
            title: "Jobs <a second>".into(),
            from: Timestamp::from_millis(1_700_000_000_000),
            step: Duration::from_secs(60),
            scale,
            lines: vec![Line { name: "done", colour: '1', values }],
            marks: vec![Mark {
                at: Timestamp::from_millis(1_700_000_060_000),
                text: "<v2>".into(),
                is_death: true,
            }],
            events: vec![(Timestamp::from_millis(1_700_000_060_000), "<v2>".into())],
        }
    }

    #[test]
    fn charts_are_drawn_whatever_the_values() {
        for scale in [Scale::Rate, Scale::Times] {
            for values in [vec![], vec![0.0, 0.0], vec![3.0, 1_640.0], vec![f64::NAN, f64::MAX]] {
                let drawn = chart(scale, values);
                let svg = drawn.svg();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                assert!(svg.contains("Jobs &lt;a second&gt;") && svg.contains("&lt;v2&gt;"));
                assert!(serde_json::from_str::<Value>(&drawn.data()).is_ok());
            }
        }
    }

    #[test]
    fn failures_are_bars_on_a_scale_of_their_own() {
        let mut drawn = chart(Scale::Rate, vec![1_500.0; 3]);
        for few in [vec![0.0, 1.0, 2.0], vec![0.0, f64::NAN, f64::INFINITY]] {
            let name = "failed attempts";
            drawn.lines.push(Line { name, colour: 'b', values: few });
            let svg = drawn.svg();
            assert!(svg.contains("class=\"bad-bar\"") && !svg.contains("NaN"), "{svg}");
            assert_eq!(drawn.grid().last(), Some(&2_000.0));
            drawn.lines.pop();
        }
    }

    #[test]
    fn the_grid_counts_by_round_numbers() {
        assert_eq!(
            chart(Scale::Rate, vec![1_500.0]).grid(),
            [0.0, 500.0, 1_000.0, 1_500.0, 2_000.0]
        );
        assert_eq!(chart(Scale::Rate, vec![]).grid(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(chart(Scale::Times, vec![3_000.0, 250_000.0]).grid(), [1e3, 1e4, 1e5, 1e6]);
        let table = chart(Scale::Rate, vec![1.0, 2.0]).table();
        assert_eq!((table.rows.len(), &*table.rows[0][1].text), (2, "2"));
        let events: Vec<&str> = table.rows.iter().map(|row| &*row[2].text).collect();
        assert_eq!(events, ["<v2>", ""]);
    }
}
