//! The report of a run, for people and for programs.

use std::fmt::Write;

use serde::Serialize;

use crate::checker::Verdict;
use crate::storm::{Aftermath, Setup};

/// A run and its results.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) server: String,
    pub(crate) fsync: String,
    pub(crate) seconds: u64,
    pub(crate) nodes: usize,
    pub(crate) slots: usize,
    pub(crate) faults_planned: usize,
    pub(crate) faults_happened: usize,
    /// In ms; `None` when the work did not end in time.
    pub(crate) drained: Option<u64>,
    pub(crate) verdict: Verdict,
}

impl Report {
    pub(crate) fn new(name: &str, setup: &Setup, after: &Aftermath, mut verdict: Verdict) -> Self {
        if after.drained.is_none() {
            verdict.violate("not drained", format!("within {} s of calm", setup.drain.as_secs()));
        }
        if after.stuck > 0 {
            verdict.violate("did not stop when told to", format!("{} nodes", after.stuck));
        }
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(0);
        Self {
            name: name.to_owned(),
            seed: setup.seed,
            server: after.server.clone(),
            fsync: format!("{:?}", setup.fsync).to_lowercase(),
            seconds: after.took.as_secs(),
            nodes: setup.nodes,
            slots: setup.slots,
            faults_planned: after.planned,
            faults_happened: after.happened,
            drained: after.drained.map(millis),
            verdict,
        }
    }

    /// Returns a table in Markdown.
    pub(crate) fn table(&self) -> String {
        let Self { verdict, .. } = self;
        let mut text = String::new();
        let violations = |names: &[&str]| -> u64 {
            names.iter().filter_map(|name| verdict.violations.get(*name)).sum()
        };
        let rows: Vec<(&str, String)> = vec![
            ("seed", self.seed.to_string()),
            ("server", format!("{}, appendfsync {}", self.server, self.fsync)),
            ("fleet", format!("{} nodes of {} slots", self.nodes, self.slots)),
            ("time", format!("{} s", self.seconds)),
            ("faults", format!("{} of {} planned", self.faults_happened, self.faults_planned)),
            ("jobs", format!("{}, {} known to be stored", verdict.jobs, verdict.ok)),
            (
                "of unknown outcome",
                format!("{} ran, {} did not", verdict.unknown_stored, verdict.unknown_absent),
            ),
            (
                "settled",
                format!(
                    "{} completed, {} buried, {} cancelled",
                    verdict.completed, verdict.buried, verdict.cancelled
                ),
            ),
            ("**lost**", violations(&["lost", "never finished", "never settled"]).to_string()),
            (
                "**second completions**",
                violations(&["completed twice", "settled twice"]).to_string(),
            ),
            ("**innocent, but buried**", violations(&["innocent, but buried"]).to_string()),
            ("buried after three real crashes", verdict.unlucky.to_string()),
            ("executions", verdict.executions.to_string()),
            (
                "repetitions",
                format!(
                    "{}, unexplained {}",
                    verdict.duplicate_executions,
                    violations(&["repeated without a reason"])
                ),
            ),
            ("late settlements refused", verdict.fenced.to_string()),
            (
                "recovery p50 / p99 / max",
                format!(
                    "{:.1} / {:.1} / {:.1} s",
                    verdict.recovery_p50 as f64 / 1e3,
                    verdict.recovery_p99 as f64 / 1e3,
                    verdict.recovery_max as f64 / 1e3
                ),
            ),
            (
                "of kills while the server was there",
                format!(
                    "{:.1} / {:.1} / {:.1} s ({} of them)",
                    verdict.calm_recovery_p50 as f64 / 1e3,
                    verdict.calm_recovery_p99 as f64 / 1e3,
                    verdict.calm_recovery_max as f64 / 1e3,
                    verdict.calm_recoveries
                ),
            ),
            (
                "drained after calm",
                self.drained
                    .map_or("never".into(), |millis| format!("{:.1} s", millis as f64 / 1e3)),
            ),
            ("left behind", violations(&["left behind"]).to_string()),
        ];
        let _ = writeln!(text, "| {} | |\n|---|---|", self.name);
        // A run without plain jobs omits their rows.
        let always = ["seed", "server", "fleet", "time", "faults", "drained after calm"];
        let shown =
            |name: &str| verdict.jobs > 0 || always.contains(&name) || name == "left behind";
        let rows = rows.into_iter().filter(|(name, _)| shown(name));
        let beside = verdict.beside.iter().map(|(name, value)| (name.as_str(), value.clone()));
        for (name, value) in rows.chain(beside) {
            let _ = writeln!(text, "| {name} | {value} |");
        }
        let _ = writeln!(text, "\n| fault | times | repetitions it explains |\n|---|---|---|");
        for (kind, times) in &verdict.faults {
            let explained = verdict.duplicates.get(kind).copied().unwrap_or(0);
            let _ = writeln!(text, "| {kind} | {times} | {explained} |");
        }
        if !verdict.is_good() {
            let _ = writeln!(text, "\nNOT GOOD:");
            for (what, times) in &verdict.violations {
                let _ = writeln!(text, "- {what}: {times}");
            }
            for example in &verdict.examples {
                let _ = writeln!(text, "  {example}");
            }
        }
        text
    }
}
