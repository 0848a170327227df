//! The drill of an addressed pool that is resized again and again, while jobs of its keys wait for
//! their time, are tried again, die and are revived, and a node is killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Handle, PoolClient};

use super::{Stage, must, within};
use crate::beside::Beside;
use crate::checker::Verdict;
use crate::keys::{FIRST_LATE, KeyStep, Keys, QUEUE};
use crate::ledger::{self, Ended, Record};
use crate::scene::error_text;

const NODES: usize = 3;
const KEYS: u64 = 12;
/// The steps of a key that are cast for now. A late job comes with each third of them.
const STEPS: u64 = 90;
const EACH: u64 = 3;
/// The time between two steps of a key, in which all keys are cast.
const PAUSE: Duration = Duration::from_millis(120);
/// The node is killed after this step.
const KILLED_AFTER: u64 = 40;
/// The sizes in turn. The pool is resized as soon as it is open again.
const SIZES: [u16; 7] = [2, 5, 3, 7, 4, 6, 1];
/// The size at the end.
const LAST: u16 = 4;
/// The time for each step of the drill.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run of a job of a key.
struct Run {
    number: u64,
    from: u64,
    to: Option<u64>,
    done: bool,
}

/// Casts the steps of some keys, and checks that the jobs of a key ran one at a time, and those that
/// were cast for now in order.
pub(super) async fn resizes(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    let keys = Keys { slots: LAST, ..Keys::of(0) };
    let beside = Beside { keys: Some(keys), ..Beside::default() };
    let mut nodes = vec![];
    for index in 0..NODES {
        nodes.push(stage.node(index, 1, beside.clone()).await?);
    }
    let pool = stage.client.pool::<KeyStep>(QUEUE);
    let serve = async || Ok(pool.view().await.is_ok_and(|view| view.members.len() == NODES));
    must(within(PATIENCE, serve).await?, "the nodes do not serve the pool")?;
    let (mut sizes, mut resizes, mut dying) = (SIZES.iter().cycle(), 0, vec![]);
    for number in 0..STEPS {
        for key in 0..KEYS {
            cast(&pool, KeyStep { key, number }).await?;
            if number % EACH == 0 {
                let late = KeyStep { key, number: FIRST_LATE + number / EACH };
                let dies = late.dies();
                let handle = cast(&pool, late).await?;
                dying.extend(dies.then_some(handle));
            }
        }
        if pool.view().await.map_err(error_text)?.open {
            pool.resize(*sizes.next().unwrap_or(&LAST)).await.map_err(error_text)?;
            resizes += 1;
        }
        if number == KILLED_AFTER {
            nodes[0].member.lock().await.kill().await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    for handle in &dying {
        let revived = async || Ok(stage.client.job(handle).revive().await.is_ok());
        within(PATIENCE, revived).await?;
    }
    let mut verdict = Verdict::default();
    let missing = || Ok::<_, String>(missing(&read(&stage.folder)?));
    within(PATIENCE, async || Ok(missing()?.is_empty())).await?;
    for what in missing()? {
        verdict.violate("steps lost", what);
    }
    for (key, runs) in read(&stage.folder)? {
        check(key, &runs, &mut verdict);
    }
    verdict.row("resizes", resizes.to_string());
    for node in nodes {
        node.member.lock().await.kill().await?;
    }
    Ok(verdict)
}

/// Casts a job: a late one with a delay, and one that dies with a single attempt.
async fn cast(pool: &PoolClient<KeyStep>, job: KeyStep) -> Result<Handle, String> {
    let delay = if job.is_late() { job.number * 37 % 3_000 } else { 0 };
    let attempts = if job.dies() { 1 } else { 20 };
    let policy = Policy::default().attempts(attempts).crashes(50);
    let policy = policy.backoff(Backoff::Fixed(Duration::from_millis(50)));
    let (pool, key) = (pool.clone().policy(policy), format!("key {}", job.key));
    let cast = pool.cast(job).key(key).after(Duration::from_millis(delay));
    Ok(Handle::from(&cast.await.map_err(error_text)?))
}

/// Returns the runs of each key, by their starts.
fn read(folder: &Path) -> Result<BTreeMap<u64, Vec<Run>>, String> {
    let mut keys: BTreeMap<u64, Vec<Run>> = BTreeMap::new();
    for file in ledger::read_all(folder)? {
        let mut open: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
        for line in file?.1 {
            match line.record {
                Record::KeyStep { run, key, number, .. } => {
                    let runs = keys.entry(key).or_default();
                    open.insert(run, (key, runs.len()));
                    runs.push(Run { number, from: line.at, to: None, done: false });
                }
                Record::End { run, how } => {
                    let found = open.get(&run);
                    let found = found.and_then(|(key, at)| keys.get_mut(key)?.get_mut(*at));
                    if let Some(run) = found {
                        (run.to, run.done) = (Some(line.at), how == Ended::Done);
                    }
                }
                _ => {}
            }
        }
    }
    keys.values_mut().for_each(|runs| runs.sort_by_key(|run| run.from));
    Ok(keys)
}

/// Returns the jobs that have not come to their end: done, or dead after they were revived.
fn missing(keys: &BTreeMap<u64, Vec<Run>>) -> Vec<String> {
    let mut missing = vec![];
    let late = (0..STEPS / EACH).map(|number| FIRST_LATE + number);
    for number in (0..STEPS).chain(late) {
        for key in 0..KEYS {
            let runs = keys.get(&key).into_iter().flatten().filter(|run| run.number == number);
            let ended = if (KeyStep { key, number }).dies() {
                runs.filter(|run| run.to.is_some()).count() >= 2
            } else {
                runs.into_iter().any(|run| run.done)
            };
            if !ended {
                missing.push(format!("job {number} of key {key}"));
            }
        }
    }
    missing
}

/// Checks the runs of a key. One without an end was that of the killed node.
fn check(key: u64, runs: &[Run], verdict: &mut Verdict) {
    let (mut next, mut before) = (0, None::<&Run>);
    for run in runs {
        if let Some(last) = before.replace(run).filter(|last| last.to > Some(run.from)) {
            let text = format!("{} and {} of key {key}", last.number, run.number);
            verdict.violate("steps at the same time", text);
        }
        if run.number >= FIRST_LATE {
            continue;
        }
        // A step may begin again.
        if run.number != next && run.number + 1 != next {
            verdict.violate(
                "steps out of order",
                format!("step {} of key {key} where {next} was due", run.number),
            );
        }
        next = next.max(run.number + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u64, from: u64, to: u64) -> Run {
        Run { number, from, to: Some(to), done: true }
    }

    fn findings(runs: &[Run]) -> Vec<String> {
        let mut verdict = Verdict::default();
        check(1, runs, &mut verdict);
        verdict.violations.into_keys().collect()
    }

    #[test]
    fn jobs_of_a_key_that_overlap_or_overtake_are_found() {
        let late = FIRST_LATE;
        assert!(
            findings(&[run(0, 1, 5), run(late, 5, 9), run(1, 9, 12), run(1, 13, 14)]).is_empty()
        );
        assert_eq!(findings(&[run(0, 1, 5), run(late, 4, 9)]), ["steps at the same time"]);
        assert_eq!(findings(&[run(0, 1, 5), run(2, 6, 9)]), ["steps out of order"]);
        let killed = Run { to: None, ..run(0, 1, 0) };
        assert!(findings(&[killed, run(0, 9_000, 9_010)]).is_empty());
    }

    #[test]
    fn a_job_without_its_end_is_missing() {
        let keys = (0..KEYS).map(|key| {
            let late = (0..STEPS / EACH).map(|number| FIRST_LATE + number);
            let jobs = (0..STEPS).chain(late);
            let twice = |number| [run(number, 1, 2), run(number, 3, 4)];
            (key, jobs.flat_map(twice).collect::<Vec<_>>())
        });
        let mut keys: BTreeMap<u64, Vec<Run>> = keys.collect();
        assert!(missing(&keys).is_empty());
        let runs = keys.get_mut(&1).unwrap();
        runs.retain(|run| run.number != 7);
        runs.iter_mut().find(|run| run.number == FIRST_LATE + 1).unwrap().to = None;
        assert_eq!(missing(&keys).len(), 2);
    }
}
