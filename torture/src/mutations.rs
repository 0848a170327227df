//! Removes every guard, one at a time. The drill of the guard must fail without it, and succeed
//! with all guards in place.

use std::collections::BTreeMap;
use std::path::Path;
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
            if folder.exists() {
                std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
            }
            let verdict = drill.run(mutation, folder.clone()).await?;
            let expected = verdict.is_good() == mutation.is_empty();
            if expected {
                std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
            }
            Ok::<_, String>((drill, mutation, verdict))
        });
    }
    let mut verdicts: BTreeMap<(String, &str), Verdict> = BTreeMap::new();
    while let Some(run) = runs.join_next().await {
        let (drill, mutation, verdict) = run.map_err(|error| error.to_string())??;
        let shown = if mutation.is_empty() { "all guards" } else { mutation };
        let colour = if verdict.is_good() { "green" } else { "red" };
        eprintln!("torture: {drill:?}, {shown}: {colour}");
        verdicts.insert((format!("{drill:?}"), mutation), verdict);
    }
    let mut good = true;
    println!("| without this guard | drill | goes red | with it |\n|---|---|---|---|");
    for mutation in chosen {
        let of = |name| verdicts.get(&(format!("{:?}", mutation.drill), name));
        let (red, green) = (of(mutation.name), of(""));
        let noticed = red.is_some_and(|verdict| !verdict.is_good());
        let sound = green.is_some_and(Verdict::is_good);
        good &= noticed && sound;
        let what: Vec<&str> = red
            .map(|verdict| verdict.violations.keys().map(String::as_str).collect())
            .unwrap_or_default();
        println!(
            "| {}: {} | {:?} | {} | {} |",
            mutation.name,
            mutation.guard,
            mutation.drill,
            if noticed { what.join(", ") } else { "**NOT NOTICED**".into() },
            if sound { "green" } else { "**NOT GREEN**" },
        );
        for example in green.iter().filter(|_| !sound).flat_map(|verdict| &verdict.examples) {
            println!("  {example}");
        }
    }
    Ok(good)
}
