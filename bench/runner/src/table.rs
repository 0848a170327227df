//! Prints the table on the terminal.

use crate::figures::{
    BYTES, CLIENT_US, COMMANDS, CONNECTIONS, IDLE, IDLE_CLIENT, IDLE_REDIS, JOBS_S, LONGEST, MAX,
    P50, P99, REDIS_US, TRIPS,
};
use crate::report::{Line, Summary};

/// The columns: a figure, its heading, its decimals.
pub const COLUMNS: [(&str, &str, usize); 14] = [
    (JOBS_S, "jobs/s", 0),
    (REDIS_US, "Redis µs/job", 2),
    (CLIENT_US, "client µs/job", 2),
    (COMMANDS, "commands/job", 2),
    (TRIPS, "trips/job", 3),
    (BYTES, "bytes/job", 0),
    (P50, "p50 ms", 2),
    (P99, "p99 ms", 2),
    (MAX, "max ms", 2),
    (LONGEST, "longest command ms", 2),
    (IDLE, "commands/s", 1),
    (IDLE_REDIS, "Redis CPU ms/s", 2),
    (IDLE_CLIENT, "client CPU ms/s", 2),
    (CONNECTIONS, "connections", 1),
];

/// Prints all results.
pub fn print(summary: &Summary) {
    for line in &summary.lines {
        println!("\n{} ({})", line.title, line.name);
        for (contender, figures) in &line.contenders {
            let shown: Vec<String> = COLUMNS
                .iter()
                .filter_map(|(figure, heading, decimals)| {
                    let spread = figures.get(*figure)?;
                    let text = number(spread.median, *decimals);
                    let range = if spread.min == spread.max {
                        String::new()
                    } else {
                        let (min, max) =
                            (number(spread.min, *decimals), number(spread.max, *decimals));
                        format!(" [{min}–{max}]")
                    };
                    let ratio = line.ratio(contender, figure);
                    let ratio = ratio.map_or(String::new(), |ratio| format!(" ({ratio:.2}×)"));
                    Some(format!("{heading} {text}{range}{ratio}"))
                })
                .filter(|text| !text.is_empty())
                .collect();
            println!("  {contender:<14} {}", shown.join("  "));
        }
        for (contender, reason) in &line.not_run {
            println!("  {contender:<14} not run: {reason}");
        }
        for verdict in verdicts(line) {
            println!("  {verdict}");
        }
    }
}

/// Returns the budgets of a line, each with whether it is met.
pub fn verdicts(line: &Line) -> Vec<String> {
    line.budgets
        .iter()
        .map(|budget| {
            let mark = if budget.holds { "holds " } else { "MISSED" };
            format!("{mark} {}: {}", budget.what, budget.found)
        })
        .collect()
}

/// Formats a number with separators between thousands.
pub fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(w, r)| (w, Some(r)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}
