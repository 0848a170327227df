//! The commands about the program itself: completion, man and version.

use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;
use serde_json::json;

use crate::args::Args;
use crate::failure::{Exit, Failure};
use crate::output::Report;

/// The commands about the program itself.
#[derive(Debug, Subcommand)]
pub(crate) enum ProgramVerb {
    /// Write the completions for a shell: poolder completion bash > /etc/bash_completion.d/poolder
    Completion {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual page of a command: poolder man queue drain | man -l -
    Man {
        /// The command; the whole program if none is named.
        command: Vec<String>,
    },
    /// Show the version of the program.
    Version,
}

/// Runs the command and returns its output.
pub(crate) fn run(verb: &ProgramVerb) -> Result<Report, Failure> {
    match verb {
        ProgramVerb::Completion { shell } => {
            let mut script = vec![];
            clap_complete::generate(*shell, &mut Args::command(), "poolder", &mut script);
            Ok(raw(&script))
        }
        ProgramVerb::Man { command } => manual(command),
        ProgramVerb::Version => {
            let version = env!("CARGO_PKG_VERSION");
            let report = Report::new(json!({ "program": "poolder", "version": version }));
            Ok(report.ids([version]).line(format!("poolder {version}")))
        }
    }
}

fn manual(words: &[String]) -> Result<Report, Failure> {
    let mut command = Args::command();
    command.build();
    let mut name = "poolder".to_owned();
    for word in words {
        let Some(sub) = command.find_subcommand(word) else {
            return Err(Failure::not_understood(format!("{name} has no command {word:?}"))
                .hint(format!("`{name} --help` lists its commands")));
        };
        command = sub.clone();
        name = format!("{name} {word}");
    }
    let mut page = vec![];
    let written = clap_mangen::Man::new(command).title(name.replace(' ', "-")).render(&mut page);
    written
        .map_err(|error| Failure::new(Exit::Failed, format!("the page was not made: {error}")))?;
    Ok(raw(&page))
}

/// Returns a report with a text for another program, which is the same in each form but JSON.
fn raw(text: &[u8]) -> Report {
    let text = String::from_utf8_lossy(text).into_owned();
    Report::new(&text).raw(text)
}
