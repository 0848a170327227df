//! The project's development commands: `cargo xtask COMMAND`.
//!
//! One file per command, each with a `pub(crate) fn run(&Arguments) -> Result<ExitCode, String>`
//! and an entry in [`COMMANDS`].

mod api;
mod arguments;
mod bench;
mod browser;
mod cargo;
mod ci;
mod compat;
mod containers;
mod demo;
mod deny;
mod features;
mod languages;
mod layers;
mod limits;
mod metrics;
mod msrv;
mod mutants;
mod packages;
mod performs;
mod postgres;
mod programs;
mod redis;
mod release;
mod semver;
mod server;
mod simulate;
mod test;
mod tools;
mod torture;
mod trials;

use std::process::ExitCode;

use arguments::Arguments;

struct Command {
    name: &'static str,
    usage: &'static str,
    summary: &'static str,
    run: fn(&Arguments) -> Result<ExitCode, String>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        usage: "demo [--yes] [--watch [--seconds N]] [DIR]",
        summary: "count the words of every file under DIR, in processes of which one is killed; \
                  --watch serves the dashboard beside it, until Ctrl-C or N seconds after its end",
        run: demo::run,
    },
    Command {
        name: "test",
        usage: "test [--yes] [CARGO TEST ARGUMENTS]",
        summary: "run the tests against a private server, which is installed if there is none",
        run: test::run,
    },
    Command {
        name: "redis",
        usage: "redis [--yes] [-- COMMAND…]",
        summary: "hold a private server until Ctrl-C, or while COMMAND runs with its URL",
        run: redis::run,
    },
    Command {
        name: "compat",
        usage: "compat [PROGRAM…] [-- TEST ARGUMENTS]",
        summary: "run the suite with every server program that is found, or with these",
        run: compat::run,
    },
    Command {
        name: "bench",
        usage: "bench [--yes] [--quick] [--only ROWS] [--check] …",
        summary: "measure Poolder beside a raw Redis loop and its peers; --help says more",
        run: bench::run,
    },
    Command {
        name: "simulate",
        usage: "simulate",
        summary: "print what fleets of up to 10,000 nodes cost a server, from measured costs",
        run: simulate::run,
    },
    Command {
        name: "torture",
        usage: "torture [--yes] [--seed N] [--minutes M] [--jobs N] [--faults N] [--fsync always|everysec]\n  \
                        [--profile standalone|sentinel|cluster|schedules|batches|limits|\n  \
                        limits-sentinel|limits-cluster]\n  \
                torture [--yes] --smoke | --mutations [NAME…]",
        summary: "kill, stop and cut off processes and server, and check that nothing is lost",
        run: torture::run,
    },
    Command {
        name: "mutants",
        usage: "mutants [--yes] [GUARD…]",
        summary: "leave out each guard of the scripts of unique jobs: their random walks must fail",
        run: mutants::run,
    },
    Command {
        name: "limits",
        usage: "limits [--yes]",
        summary: "walk through random steps of a limited queue beside a model, and leave out each guard of \
                  its scripts",
        run: limits::run,
    },
    Command {
        name: "layers",
        usage: "layers",
        summary: "print which files of the published crates import against the table of layers, \
                  and which form circles",
        run: layers::run,
    },
    Command {
        name: "api",
        usage: "api [--write]",
        summary: "print every public item, one a line; --write puts them into docs/public-api.txt",
        run: api::run,
    },
    Command {
        name: "performs",
        usage: "performs",
        summary: "measure how many attempts a second a TestQueue performs in a development build",
        run: performs::run,
    },
    Command {
        name: "trials",
        usage: "trials [--yes] [NAME…]\n  \
                trials [--yes] --sample | --scripts [NAME…]",
        summary: "try public reports, odd input and outages, and compare with trials/red.txt",
        run: trials::run,
    },
    Command {
        name: "browser",
        usage: "browser [--yes] [--sample | --screenshots DIR]",
        summary: "look at every page of the dashboard in Chromium, in both themes and three widths, and \
                  click every button",
        run: browser::run,
    },
    Command {
        name: "features",
        usage: "features [--all] [PACKAGE…]",
        summary: "lint the published packages with none, each, each two and all of their features; \
                  --all takes every set",
        run: features::run,
    },
    Command {
        name: "msrv",
        usage: "msrv",
        summary: "check the oldest compiler that is promised: by a lint, the dependencies, and the \
                  compiler itself where it is installed",
        run: msrv::run,
    },
    Command {
        name: "semver",
        usage: "semver",
        summary: "compare the public items with those of the last release",
        run: semver::run,
    },
    Command {
        name: "release",
        usage: "release --dry-run",
        summary: "package what would be published, and build the packages in a folder of their own",
        run: release::run,
    },
    Command {
        name: "ci",
        usage: "ci [--yes] [STEP…]",
        summary: "run all that must pass, or the named steps: tests, format, lints, \
                  the dashboard in a browser, documentation, containers, metrics, examples, \
                  a sample of the trials, instruction counts, a short torture",
        run: ci::run,
    },
];

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let name = words.next().unwrap_or_default();
    let Some(command) = COMMANDS.iter().find(|command| name == command.name) else {
        let asked = name.is_empty() || name == "help" || name == "--help" || name == "-h";
        if asked {
            println!("{}", help());
            return ExitCode::SUCCESS;
        }
        eprintln!("xtask: there is no command `{}`\n\n{}", name.display(), help());
        return ExitCode::from(2);
    };
    match (command.run)(&Arguments::new(words)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask {}: {error}", command.name);
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let mut text = String::from("Usage: cargo xtask COMMAND\n");
    for command in COMMANDS {
        text.push_str(&format!("\n  {}\n      {}", command.usage, command.summary));
    }
    text.push_str(
        "\n\nA server that has to be installed is downloaded into target/poolder-dev. --yes (or \
         CI=true)\nalso allows the system's package manager, which is otherwise asked for first.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, cargo, help};

    #[test]
    fn the_help_names_every_command() {
        let help = help();
        for command in COMMANDS {
            assert!(command.usage.starts_with(command.name));
            assert!(help.contains(command.usage) && help.contains(command.summary));
        }
    }
    /// Blocks of commands that are too slow to run are at least not misspelled.
    #[test]
    fn every_command_that_a_document_names_is_there() {
        let mut pages =
            vec!["README.md".into(), "CONTRIBUTING.md".into(), "ARCHITECTURE.md".into()];
        for folder in ["docs", "docs/contributing", "trials", "torture", "bench"] {
            let entries = std::fs::read_dir(cargo::root().join(folder)).unwrap().flatten();
            pages.extend(entries.map(|entry| entry.path()));
        }
        let mut seen = 0;
        for page in pages.iter().filter(|page| page.extension().is_some_and(|end| end == "md")) {
            let text = std::fs::read_to_string(cargo::root().join(page)).unwrap();
            for after in text.split("cargo xtask ").skip(1) {
                let is_name = |c: char| c.is_ascii_lowercase() || c == '-';
                let name = after.split(|c| !is_name(c)).next().unwrap_or_default();
                let is_known = COMMANDS.iter().any(|command| command.name == name);
                assert!(is_known || name.is_empty(), "{}: cargo xtask {name}", page.display());
                seen += 1;
            }
        }
        assert!(seen > 20, "the documents name commands");
    }
}
