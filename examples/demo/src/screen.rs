//! The progress display: bars at a terminal, plain lines elsewhere. Both go to standard error,
//! because standard output is for the result.

use std::fmt::Display;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};

use crate::progress::Progress;

/// The time between two lines when there is no terminal.
const PERIOD: Duration = Duration::from_secs(2);
const STAGES: [&str; 2] = ["read, hash, count", "add up"];

/// Prints lines, above the bars if there are any. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Voice(Option<MultiProgress>);

impl Voice {
    pub(crate) fn say(&self, line: impl Display) {
        match &self.0 {
            // A closed terminal does not stop the demo.
            Some(bars) => drop(bars.println(line.to_string())),
            None => eprintln!("{line}"),
        }
    }
}

pub(crate) struct Screen {
    voice: Voice,
    bars: Option<Bars>,
    files: u64,
    shown: Shown,
}

struct Bars {
    stages: [ProgressBar; 2],
    status: ProgressBar,
}

/// The last line printed.
#[derive(Default)]
struct Shown {
    at: Option<Instant>,
    done: [u64; 2],
    status: &'static str,
}

impl Screen {
    /// Creates the display for this number of files.
    pub(crate) fn new(files: u64) -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if !std::io::stderr().is_terminal() || is_dumb {
            return Self { voice: Voice(None), bars: None, files, shown: Shown::default() };
        }
        let all = MultiProgress::new();
        let bar = |prefix| {
            let bar = ProgressBar::new(files);
            bar.set_style(style("{prefix:18} {bar:36.green} {human_pos:>7}/{human_len} {msg}"));
            all.add(bar.with_prefix(prefix))
        };
        let stages = STAGES.map(bar);
        let status = all.add(ProgressBar::new_spinner());
        status.set_style(style("{spinner} {msg} ({elapsed})"));
        status.enable_steady_tick(Duration::from_millis(100));
        let bars = Some(Bars { stages, status });
        Self { voice: Voice(Some(all)), bars, files, shown: Shown::default() }
    }

    pub(crate) fn voice(&self) -> Voice {
        self.voice.clone()
    }

    pub(crate) fn say(&self, line: impl Display) {
        self.voice.say(line);
    }

    /// Shows the progress and speed of both stages, and the current status.
    pub(crate) fn show(
        &mut self,
        progress: &Progress,
        rates: [Option<u64>; 2],
        status: &'static str,
    ) {
        let done = [progress.files.settled(), progress.totals.settled()];
        match &self.bars {
            Some(bars) => {
                for (bar, (done, rate)) in bars.stages.iter().zip(done.into_iter().zip(rates)) {
                    bar.set_position(done);
                    bar.set_message(speed(rate));
                }
                if self.shown.status != status {
                    bars.status.set_message(status);
                    bars.status.reset_elapsed();
                    self.shown.status = status;
                }
            }
            None => self.show_plainly(done, rates, status),
        }
    }

    fn show_plainly(&mut self, done: [u64; 2], rates: [Option<u64>; 2], status: &'static str) {
        if self.shown.status != status {
            eprintln!("{status}");
            self.shown.status = status;
        }
        let is_time = self.shown.at.is_none_or(|at| at.elapsed() >= PERIOD);
        if is_time && self.shown.done != done {
            let stage = |at: usize| {
                let [done, all] = [done[at], self.files].map(HumanCount);
                format!("{} {done}/{all} {}", STAGES[at], speed(rates[at]))
            };
            eprintln!("{}; {}", stage(0).trim_end(), stage(1).trim_end());
            self.shown.at = Some(Instant::now());
            self.shown.done = done;
        }
    }

    /// Leaves the bars on the screen and removes the status.
    pub(crate) fn close(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.status.finish_and_clear();
            bars.stages.iter().for_each(ProgressBar::abandon);
        }
    }
}

fn speed(rate: Option<u64>) -> String {
    rate.map(|rate| format!("{} jobs/s", HumanCount(rate))).unwrap_or_default()
}

fn style(template: &str) -> ProgressStyle {
    // The templates are valid; if one were not, the default style would be used.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▉▊▋▌▍▎▏ ")
}
