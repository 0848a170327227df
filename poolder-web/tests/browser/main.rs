//! The dashboard in a real browser: pages, actions, faults and hostile jobs, as visitors meet them.
//!
//! `cargo xtask browser` finds a browser, its driver and axe-core, and runs this program. A usual
//! `cargo test` leaves it out.
//!
//! | argument | effect |
//! |---|---|
//! | a word | makes the checks whose names contain it |
//! | `--sample` | looks at each page in one theme and at one width, takes each action with scripts or without, and leaves out what takes long |
//! | `--screenshots DIR` | takes pictures, and makes no check |

mod actions;
mod clicks;
mod driver;
mod fleet;
mod forms;
mod keys;
mod pages;
mod report;
mod scenes;
mod shots;
mod site;
mod structures;
mod table;
mod tasks;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use driver::{Driver, Tab, Theme};
use fleet::Fleet;
use poolder_devserver::{Fsync, Server};
use report::Report;
use sha2::{Digest, Sha256};
use table::ACTIONS;
use world::text;

/// The variables with the programs, and with the path of `axe.min.js`.
const DRIVER: &str = "POOLDER_CHROMEDRIVER";
const BROWSER: &str = "POOLDER_CHROMIUM";
const AXE: &str = "POOLDER_AXE";

/// The hash of `axe.min.js` of axe-core 4.14.1.
const AXE_HASH: &str = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c";

#[tokio::main]
async fn main() -> ExitCode {
    if let Ok(what) = std::env::var(fleet::NODE) {
        return match fleet::node(&what).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("node {what}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("the checks could not be made: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(words: &[String]) -> Result<bool, String> {
    let axe = axe()?;
    let driver = Driver::start(&variable(DRIVER)?, &variable(BROWSER)?)?;
    let tab = driver.open(true)?;
    let shots = words.iter().position(|word| word == "--screenshots");
    if let Some(dir) = shots.and_then(|at| words.get(at + 1)) {
        let fleet = Fleet::start(Duration::from_secs(3)).await?;
        // Rates are those of ten seconds.
        tokio::time::sleep(Duration::from_secs(12)).await;
        shots::take(&fleet, &tab, Path::new(dir)).await?;
        return Ok(true);
    }
    let names = words.iter().filter(|word| !word.starts_with('-'));
    let mut report = Report::new(names.cloned().collect());
    let missing = async { world::must(table::missing().is_empty(), table::missing().join(", ")) };
    report.check("each page and each action has a check", missing).await;
    let all = !words.iter().any(|word| word == "--sample");
    act(&driver, &tab, all, &mut report).await?;
    let fleet = Fleet::start(Duration::ZERO).await?;
    let broken = async { pages::notices_a_broken_page(&fleet, &tab, &axe) };
    report.check("a broken page is noticed", broken).await;
    pages::look_at_all(&fleet, &tab, &axe, all, &mut report).await;
    Ok(report.end())
}

/// Takes each action with scripts and without, and plays the scenes, all of them or a sample.
async fn act(driver: &Driver, tab: &Tab, all: bool, report: &mut Report) -> Result<(), String> {
    let server = &Server::builder().aof(Fsync::EverySec).start().map_err(text)?;
    let plain = &driver.open(false)?;
    tab.look(Theme::Light, 1280)?;
    for (at, action) in ACTIONS.iter().enumerate() {
        let ways = [(tab, action.to_string()), (plain, format!("{action} without scripts"))];
        for (way, (tab, name)) in ways.into_iter().enumerate() {
            // The sample takes each action one way, by turns.
            if all || way == at % 2 {
                report.check(&name, actions::take(server, tab, action)).await;
            }
        }
    }
    for (tab, how) in [(tab, ""), (plain, " without scripts")] {
        report.check(&format!("several jobs{how}"), forms::several(server, tab)).await;
        report.check(&format!("a job from the form{how}"), forms::enqueue(server, tab)).await;
        report.check(&format!("a schedule from the form{how}"), forms::schedule(server, tab)).await;
        report.check(&format!("a view is saved{how}"), forms::view(server, tab)).await;
        report.check(&format!("an error is retried{how}"), forms::error(server, tab)).await;
    }
    report.check("without scripts", scenes::without_scripts(server, plain)).await;
    report.check("live", scenes::live(server, tab)).await;
    report.check("hostile jobs", scenes::hostile(server, tab)).await;
    report.check("vanished", scenes::vanished(server, tab)).await;
    report.check("session", scenes::session(server, tab)).await;
    report.check("keys, search and theme", scenes::keys_search_and_theme(server, tab)).await;
    report.check("server away and back", scenes::server_away(server, tab)).await;
    if !all {
        return Ok(());
    }
    report.check("each key", keys::each(server, tab)).await;
    for (tab, how) in [(tab, ""), (plain, " without scripts")] {
        report.check(&format!("several schedules{how}"), forms::schedules(server, tab)).await;
        report.check(&format!("an error is buried{how}"), forms::bury_error(server, tab)).await;
        report.check(&format!("vanished at a click{how}"), clicks::vanished(server, tab)).await;
        report.check(&format!("session at a click{how}"), clicks::session(server, tab)).await;
    }
    report.check("server away at a click", clicks::server_away(server, tab)).await;
    report.check("progress and stop of a task", tasks::progress_and_stop(server, tab)).await;
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("{name} is not set: run `cargo xtask browser`"))
}

/// Reads axe-core.
fn axe() -> Result<String, String> {
    let path = variable(AXE)?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let hash = Sha256::digest(&text);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    if hash == AXE_HASH { Ok(text) } else { Err(format!("{path} has the hash {hash}")) }
}
