//! The results of a run, written as JSON for programs and as a page for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::args::Args;
use crate::contender::Contender;
use crate::figures::{Spread, spread};
use crate::rows::{Bound, Budget, Row, Who};
use crate::server::Server;
use crate::table::{COLUMNS, number};
use crate::{NotRun, Results};

/// The results of a run.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub server: String,
    pub machine: String,
    pub rustc: String,
    pub rounds: usize,
    pub command: String,
    pub lines: Vec<Line>,
}

/// The results of one row.
#[derive(Debug, Serialize)]
pub struct Line {
    pub name: String,
    pub title: String,
    pub jobs: u64,
    pub peers: bool,
    pub baseline: &'static str,
    pub contenders: Vec<(String, BTreeMap<&'static str, Spread>)>,
    pub not_run: Vec<(String, String)>,
    pub budgets: Vec<Judged>,
}

/// A budget, and whether it is met.
#[derive(Debug, Serialize)]
pub struct Judged {
    pub what: String,
    pub found: String,
    pub holds: bool,
}

impl Summary {
    /// Summarizes the rounds.
    pub fn new(
        rows: &[Row],
        contenders: &[Contender],
        results: &Results,
        not_run: &NotRun,
        server: &Server,
        args: &Args,
    ) -> Self {
        let line = |(at, row): (usize, &Row)| {
            let mut line = Line {
                name: row.name.clone(),
                title: row.title.clone(),
                jobs: if row.order.jobs == u64::MAX { row.order.backlog } else { row.order.jobs },
                peers: row.who == Who::Everyone,
                baseline: row.baseline(),
                contenders: vec![],
                not_run: vec![],
                budgets: vec![],
            };
            for contender in contenders {
                let place = (at, contender.name.clone());
                if let Some(rounds) = results.get(&place) {
                    let figure = |(name, ..): &(&'static str, &str, usize)| {
                        spread(rounds, name).map(|spread| (*name, spread))
                    };
                    let figures = COLUMNS.iter().filter_map(figure).collect();
                    line.contenders.push((contender.name.clone(), figures));
                }
                if let Some(reason) = not_run.get(&place) {
                    line.not_run.push((contender.name.clone(), reason.clone()));
                }
            }
            line
        };
        let mut lines: Vec<Line> = rows.iter().enumerate().map(line).collect();
        let judged: Vec<Vec<Judged>> = rows
            .iter()
            .zip(&lines)
            .map(|(row, line)| {
                row.budgets.iter().filter_map(|it| judge(line, it, &lines)).collect()
            })
            .collect();
        lines.iter_mut().zip(judged).for_each(|(line, budgets)| line.budgets = budgets);
        Self {
            server: server.describe(),
            machine: machine(),
            rustc: output("rustc", &["--version"]),
            rounds: args.rounds,
            command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
            lines,
        }
    }
}

impl Line {
    /// Returns the median of a figure.
    pub fn median(&self, contender: &str, figure: &str) -> Option<f64> {
        let (_, figures) = self.contenders.iter().find(|(name, _)| name == contender)?;
        figures.get(figure).map(|spread| spread.median)
    }

    /// Returns a figure as a multiple of the baseline's.
    pub fn ratio(&self, contender: &str, figure: &str) -> Option<f64> {
        let base = self.median(self.baseline, figure).filter(|base| *base > 0.0)?;
        let value = self.median(contender, figure).filter(|_| contender != self.baseline)?;
        Some(value / base)
    }
}

/// Judges a budget of a line. `lines` are those of the same run.
fn judge(line: &Line, budget: &Budget, lines: &[Line]) -> Option<Judged> {
    let name =
        COLUMNS.iter().find(|(figure, ..)| *figure == budget.figure).map(|(_, name, _)| *name)?;
    let ratio = || line.ratio("poolder", budget.figure);
    let (what, found, holds) = match budget.bound {
        Bound::AtLeastRaw(bound) => {
            (format!("{name} ≥ {bound} × raw"), format!("{:.2} ×", ratio()?), ratio()? >= bound)
        }
        Bound::AtMostRaw(bound) => {
            (format!("{name} ≤ {bound} × raw"), format!("{:.2} ×", ratio()?), ratio()? <= bound)
        }
        Bound::AtMost(bound) => {
            let found = line.median("poolder", budget.figure)?;
            (format!("{name} ≤ {bound}"), number(found, 2), found <= bound)
        }
        Bound::AtLeastRow(row, bound) => {
            let other = lines.iter().find(|line| line.name == row)?;
            let usual = other.median("poolder", budget.figure).filter(|usual| *usual > 0.0)?;
            let ratio = line.median("poolder", budget.figure)? / usual;
            (format!("{name} ≥ {bound} × `{row}`"), format!("{ratio:.2} ×"), ratio >= bound)
        }
        Bound::AtMostRow(row, bound) => {
            let other = lines.iter().find(|line| line.name == row)?;
            let usual = other.median("poolder", budget.figure).filter(|usual| *usual > 0.0)?;
            let ratio = line.median("poolder", budget.figure)? / usual;
            (format!("{name} ≤ {bound} × `{row}`"), format!("{ratio:.2} ×"), ratio <= bound)
        }
        Bound::AtLeastPeer(peer, bound) => {
            let theirs = line.median(peer, budget.figure).filter(|theirs| *theirs > 0.0)?;
            let ratio = line.median("poolder", budget.figure)? / theirs;
            (format!("{name} ≥ {bound} × {peer}'s"), format!("{ratio:.2} ×"), ratio >= bound)
        }
        Bound::EachAtLeastShared(bound) => {
            let each = line.contenders.iter().filter_map(|(name, _)| {
                line.ratio(name, budget.figure).map(|ratio| (ratio, name.as_str()))
            });
            let (least, mode) = each.min_by(|a, b| a.0.total_cmp(&b.0))?;
            let what = format!("{name} ≥ {bound} × the shared pool's in every mode");
            (what, format!("{least:.2} × ({mode})"), least >= bound)
        }
    };
    Some(Judged { what, found, holds })
}

/// Writes `results.json` and `README.md`.
pub fn write(
    summary: &Summary,
    plots: &[&str],
    dir: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::write(dir.join("results.json"), serde_json::to_string_pretty(summary)? + "\n")?;
    std::fs::write(dir.join("README.md"), page(summary, plots)?)?;
    Ok(())
}

fn page(summary: &Summary, plots: &[&str]) -> Result<String, std::fmt::Error> {
    let mut out = String::from(include_str!("page.md"));
    writeln!(
        out,
        "\n## This run\n\n- server: {}\n- machine: {}\n- {}\n- {} rounds, `cargo xtask bench {}`\n",
        summary.server, summary.machine, summary.rustc, summary.rounds, summary.command
    )?;
    writeln!(out, "## Budgets\n\n| work | Poolder must | found | |\n|---|---|---|---|")?;
    for line in &summary.lines {
        for budget in &line.budgets {
            let mark = if budget.holds { "holds" } else { "**missed**" };
            writeln!(out, "| {} | {} | {} | {mark} |", line.title, budget.what, budget.found)?;
        }
    }
    if summary.lines.iter().any(|line| line.peers) {
        writeln!(out, "\n## A killed worker\n\n| | its jobs |\n|---|---|")?;
        for (who, fate) in crate::peers::KILLED {
            writeln!(out, "| {who} | {fate} |")?;
        }
    }
    writeln!(out)?;
    for plot in plots {
        writeln!(out, "![{plot}]({plot})")?;
    }
    for (heading, peers) in [("Poolder and the raw loop", false), ("Beside its peers", true)] {
        if summary.lines.iter().any(|line| line.peers == peers) {
            writeln!(out, "\n## {heading}\n")?;
            table(&mut out, summary, peers)?;
        }
    }
    Ok(out)
}

fn table(out: &mut String, summary: &Summary, peers: bool) -> std::fmt::Result {
    let lines = summary.lines.iter().filter(|line| line.peers == peers);
    for line in lines {
        let used: Vec<_> = COLUMNS
            .iter()
            .filter(|(figure, ..)| {
                line.contenders.iter().any(|(_, found)| found.contains_key(figure))
            })
            .collect();
        let headings: Vec<&str> = used.iter().map(|(_, heading, _)| *heading).collect();
        let jobs = number(line.jobs as f64, 0);
        writeln!(out, "**{}** (`{}`, {jobs} jobs)\n", line.title, line.name)?;
        writeln!(out, "| | {} |", headings.join(" | "))?;
        writeln!(out, "|---|{}", "---:|".repeat(used.len()))?;
        for (contender, figures) in &line.contenders {
            write!(out, "| {contender} |")?;
            for (figure, _, decimals) in &used {
                let Some(spread) = figures.get(figure) else {
                    write!(out, " – |")?;
                    continue;
                };
                let ratio = line.ratio(contender, figure);
                let ratio = ratio.map_or(String::new(), |ratio| format!(" ({ratio:.2} ×)"));
                write!(out, " {}{ratio}", number(spread.median, *decimals))?;
                if spread.min < spread.max {
                    let (min, max) = (number(spread.min, *decimals), number(spread.max, *decimals));
                    write!(out, "<br><sub>{min}–{max}</sub>")?;
                }
                write!(out, " |")?;
            }
            writeln!(out)?;
        }
        for (contender, reason) in &line.not_run {
            writeln!(
                out,
                "| {contender} | not run: {reason} |{}",
                " |".repeat(used.len().max(1) - 1)
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = output("uname", &["-sr"]);
    format!("{cores} cores, {}, {kernel}", model.unwrap_or("unknown CPU"))
}

fn output(program: &str, args: &[&str]) -> String {
    let output = std::process::Command::new(program).args(args).output();
    output.map_or_else(
        |_| String::new(),
        |out| String::from_utf8_lossy(&out.stdout).trim().to_owned(),
    )
}
