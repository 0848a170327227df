//! Removes every guard, one at a time. The drill of the guard must fail without it, and succeed
//! with all guards in place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::checker::Verdict;
use crate::drills::Drill;
use crate::guards::MUTATIONS;

/// The number of drills that run at a time. Drills mostly wait.
const AT_ONCE: usize = 3;

/// Runs the drills of these guards, or of all, each with and without its guard.
pub(crate) async fn run(out: &Path, names: &[String]) -> Result<bool, String> {
    if !cfg!(poolder_mutations) {
        return Err(
            "this build has all its guards for good: run cargo xtask torture --mutations, \
                    which builds with --cfg poolder_mutations"
                .into(),
        );
    }
    if let Some(name) = names.iter().find(|name| MUTATIONS.iter().all(|m| m.name != **name)) {
        let known: Vec<&str> = MUTATIONS.iter().map(|mutation| mutation.name).collect();
        return Err(format!("there is no mutation {name}: there are {}", known.join(", ")));
    }
    let chosen: Vec<_> = MUTATIONS
        .iter()
        .filter(|mutation| names.is_empty() || names.iter().any(|name| name == mutation.name))
        .collect();
    let mut wanted: Vec<(Drill, &str)> =
        chosen.iter().map(|mutation| (mutation.drill, mutation.name)).collect();
    let mut drills: Vec<Drill> = chosen.iter().map(|mutation| mutation.drill).collect();
    drills.sort_by_key(|drill| format!("{drill:?}"));
    drills.dedup();
    wanted.extend(drills.iter().map(|drill| (*drill, "")));

    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut runs = JoinSet::new();
    for (drill, mutation) in wanted {
        let (room, folder) = (Arc::clone(&room), out.join(format!("{drill:?}-{mutation}")));
        runs.spawn(async move {
            let _room = room.acquire_owned().await;
            (drill, mutation, run_in(drill, mutation, folder).await)
        });
    }
    let mut verdicts: BTreeMap<(String, &str), Result<Verdict, String>> = BTreeMap::new();
    while let Some(run) = runs.join_next().await {
        let (drill, mutation, verdict) = run.map_err(|error| error.to_string())?;
        let shown = if mutation.is_empty() { "all guards" } else { mutation };
        eprintln!("torture: {drill:?}, {shown}: {}", colour(&verdict));
        verdicts.insert((format!("{drill:?}"), mutation), verdict);
    }
    let mut good = true;
    println!("| without this guard | drill | goes red | with it |\n|---|---|---|---|");
    for mutation in chosen {
        let of = |name| verdicts.get(&(format!("{:?}", mutation.drill), name));
        let (Some(red), Some(green)) = (of(mutation.name), of("")) else { continue };
        good &= is_red(red) && is_green(green);
        println!(
            "| {}: {} | {:?} | {} | {} |",
            mutation.name,
            mutation.guard,
            mutation.drill,
            match red {
                Ok(verdict) if verdict.is_good() => "**NOT NOTICED**".into(),
                Ok(verdict) => verdict.violations.keys().cloned().collect::<Vec<_>>().join(", "),
                Err(_) => colour(red),
            },
            if is_red(green) { "**NOT GREEN**".into() } else { colour(green) },
        );
        for example in green.iter().flat_map(|verdict| &verdict.examples) {
            println!("  {example}");
        }
    }
    Ok(good)
}

/// Runs a drill. The folder is kept unless the drill ends as expected.
async fn run_in(drill: Drill, mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    }
    let verdict = drill.run(mutation, folder.clone()).await?;
    if verdict.is_good() == mutation.is_empty() {
        std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    }
    Ok(verdict)
}

fn is_green(verdict: &Result<Verdict, String>) -> bool {
    verdict.as_ref().is_ok_and(Verdict::is_good)
}

fn is_red(verdict: &Result<Verdict, String>) -> bool {
    verdict.as_ref().is_ok_and(|verdict| !verdict.is_good())
}

/// Returns the result in a word; a drill that could not be carried out is neither red nor green.
fn colour(verdict: &Result<Verdict, String>) -> String {
    match verdict {
        Ok(verdict) if verdict.is_good() => "green".into(),
        Ok(_) => "red".into(),
        Err(error) => format!("error: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_that_could_not_be_carried_out_is_neither_red_nor_green() {
        let mut red = Verdict::default();
        red.violate("lost", "job 1".into());
        let (red, green) = (Ok(red), Ok(Verdict::default()));
        assert!(is_red(&red) && !is_green(&red) && is_green(&green) && !is_red(&green));
        let failed = Err("no server".to_owned());
        assert!(!is_red(&failed) && !is_green(&failed));
        assert_eq!(colour(&failed), "error: no server");
    }
}
