//! Plots: bars, one file per figure, as plain SVG.

use std::fmt::Write as _;
use std::path::Path;

use crate::figures::{JOBS_S, P99, REDIS_US};
use crate::report::{Line, Summary};
use crate::table::number;

const WIDTH: f64 = 760.0;
const LABEL: f64 = 250.0;
const BAR: f64 = 16.0;
const GAP: f64 = 14.0;

/// A plot: its file, its title, a figure, its decimals, and the rows it shows.
struct Plot {
    file: &'static str,
    title: &'static str,
    figure: &'static str,
    decimals: usize,
    rows: fn(&Line) -> bool,
}

const PLOTS: [Plot; 6] = [
    Plot {
        file: "jobs-per-second.svg",
        title: "Jobs per second beside the raw loop (more is better)",
        figure: JOBS_S,
        decimals: 0,
        rows: |line| {
            !line.peers
                && ["enqueue", "drain", "both"].iter().any(|start| line.name.starts_with(start))
        },
    },
    Plot {
        file: "redis-cpu.svg",
        title: "Redis CPU, µs per job (less is better)",
        figure: REDIS_US,
        decimals: 2,
        rows: |line| {
            !line.peers
                && ["enqueue", "drain", "both"].iter().any(|start| line.name.starts_with(start))
        },
    },
    Plot {
        file: "backlog.svg",
        title: "Redis CPU, µs per job, by what waits (it should not grow)",
        figure: REDIS_US,
        decimals: 2,
        rows: |line| line.name.starts_with("backlog") || line.name.starts_with("running"),
    },
    Plot {
        file: "peers-jobs-per-second.svg",
        title: "Jobs per second beside the peers (more is better)",
        figure: JOBS_S,
        decimals: 0,
        rows: |line| {
            line.peers && !line.name.ends_with("pickup") && !line.name.ends_with("delayed")
        },
    },
    Plot {
        file: "peers-redis-cpu.svg",
        title: "Redis CPU beside the peers, µs per job (less is better)",
        figure: REDIS_US,
        decimals: 1,
        rows: |line| line.peers && ["drain", "both"].iter().any(|end| line.name.ends_with(end)),
    },
    Plot {
        file: "peers-latency.svg",
        title: "p99 of the idle pick-up and of the lateness of delayed jobs, ms (less is better)",
        figure: P99,
        decimals: 1,
        rows: |line| line.peers,
    },
];

/// Writes the plots for which there are figures.
pub fn write(summary: &Summary, dir: &Path) -> std::io::Result<Vec<&'static str>> {
    let mut written = vec![];
    for plot in &PLOTS {
        if let Some(text) = draw(plot, summary) {
            std::fs::write(dir.join(plot.file), text)?;
            written.push(plot.file);
        }
    }
    Ok(written)
}

fn colour(contender: &str) -> &'static str {
    match contender {
        "poolder" => "#c2410c",
        "raw" => "#94a3b8",
        _ => "#475569",
    }
}

fn draw(plot: &Plot, summary: &Summary) -> Option<String> {
    let mut groups = vec![];
    for line in summary.lines.iter().filter(|line| (plot.rows)(line)) {
        let bars: Vec<(&str, f64)> = line
            .contenders
            .iter()
            .filter_map(|(name, _)| Some((name.as_str(), line.median(name, plot.figure)?)))
            .collect();
        // A plot of the raw loop alone compares nothing.
        if bars.iter().any(|(name, _)| *name == "poolder") {
            groups.push((line.title.as_str(), bars));
        }
    }
    let most =
        groups.iter().flat_map(|(_, bars)| bars).map(|(_, value)| *value).fold(0.0, f64::max);
    if groups.is_empty() || most <= 0.0 {
        return None;
    }
    let mut body = String::new();
    let mut y = 44.0;
    for (title, bars) in &groups {
        let _ =
            writeln!(body, "<text x=\"8\" y=\"{:.0}\" class=\"group\">{}</text>", y, escape(title));
        y += 8.0;
        for (name, value) in bars {
            let width = (value / most * (WIDTH - LABEL - 90.0)).max(1.0);
            let middle = y + BAR - 4.0;
            let _ = writeln!(
                body,
                "<text x=\"{:.0}\" y=\"{middle:.0}\" text-anchor=\"end\">{name}</text>\
                 <rect x=\"{LABEL:.0}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{BAR:.0}\" \
                 fill=\"{}\"/><text x=\"{:.0}\" y=\"{middle:.0}\">{}</text>",
                LABEL - 8.0,
                colour(name),
                LABEL + width + 6.0,
                number(*value, plot.decimals),
            );
            y += BAR + 3.0;
        }
        y += GAP + 6.0;
    }
    let height = y;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH:.0} {height:.0}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"12\">\n<style>.group{{font-weight:600}}.title{{font-size:15px;font-weight:600}}\
         </style>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"8\" y=\"22\" class=\"title\">{}</text>\n{body}</svg>\n",
        escape(plot.title)
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn titles_fit_into_svg() {
        assert_eq!(escape("a < b & c"), "a &lt; b &amp; c");
    }
}
