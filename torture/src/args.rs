//! The command line of the torture.

use std::path::PathBuf;
use std::time::Duration;

use poolder_devserver::Fsync;

use crate::plan::Profile;

/// The help text.
pub(crate) const USAGE: &str = "\
usage: torture [--seed N] [--minutes M] [--jobs N] [--faults N] [--fsync always|everysec]
               [--profile standalone|sentinel|cluster|schedules|batches|limits|
                          limits-sentinel|limits-cluster|hung-sentinel|hung-cluster|
                          unique|unique-sentinel]
               [--out DIR] [--keep]
       torture --smoke | --mutations [NAME…] | --recovery | --rebalance

The default is 100,000 jobs and 260 faults in 13 minutes, on one server whose append-only file is
synced always, with a seed drawn from the clock. Beside the jobs runs a little of everything else.
The profile cluster is 30,000 jobs and 280 faults in 5 minutes; schedules is one schedule on three
nodes, 600 ticks in 10 minutes; batches is 1,000,000 entries in 3.5 minutes; limits is 12,000 jobs
of 20 groups of a limited queue in 2 minutes, limits-sentinel and limits-cluster the same in 3;
hung-sentinel and hung-cluster are 4 primaries that hang in 3 and in 2 minutes; unique is 40,000
enqueues of unique jobs and 200 faults in 10 minutes, unique-sentinel 12,000 and 50 with failovers in
5 minutes. The ledger is kept in DIR (target/torture) when something was wrong, or with --keep.";

/// The task that the command line selects.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Task {
    /// A long run with jobs of every kind.
    Storm(Storm),
    /// A long run of a schedule.
    Schedules(Storm),
    /// A long run of a batcher.
    Batches(Storm),
    /// A long run of a limited queue.
    Limits(Storm),
    /// A long run in which primaries hang.
    Hung(Storm),
    /// A long run of unique jobs.
    Unique(Storm),
    /// A short run with a fixed seed.
    Smoke(PathBuf),
    /// The drills of all guards, or of the guards in this list.
    Mutations(PathBuf, Vec<String>),
    /// Measures how soon the jobs of a killed or stopped node run on another.
    Recovery(PathBuf),
    /// Measures how soon the slots of a pool find their nodes.
    Rebalance(PathBuf),
    Help,
}

/// The settings of a long run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Storm {
    pub(crate) profile: Profile,
    pub(crate) seed: Option<u64>,
    pub(crate) minutes: f64,
    pub(crate) jobs: u64,
    pub(crate) faults: u64,
    pub(crate) fsync: Fsync,
    pub(crate) out: PathBuf,
    pub(crate) keep: bool,
}

/// The constructor of a task, with its default minutes, jobs and faults.
type About = (fn(Storm) -> Task, f64, u64, u64);

impl Storm {
    /// Returns the seed, which comes from the clock if the command line has none, and the time
    /// during which faults strike.
    pub(crate) fn draw(&self) -> (u64, Duration) {
        let seed = self.seed.unwrap_or_else(|| crate::ledger::now() % 1_000_000);
        (seed, Duration::from_secs_f64(self.minutes * 60.0))
    }
}

/// Parses the words after the program's name.
pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Task, String> {
    let mut storm = Storm {
        profile: Profile::Standalone,
        seed: None,
        minutes: 0.0,
        jobs: 0,
        faults: 0,
        fsync: Fsync::Always,
        out: "target/torture".into(),
        keep: false,
    };
    let mut about: Option<About> = None;
    let (mut minutes, mut jobs, mut faults) = (None, None, None);
    let (mut smoke, mut recovery, mut mutations) = (false, false, None::<Vec<String>>);
    let mut rebalance = false;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value\n\n{USAGE}"));
        match word.as_str() {
            "--seed" => storm.seed = Some(number(&word, &value()?)?),
            "--minutes" => minutes = Some(number(&word, &value()?)?),
            "--jobs" => jobs = Some(number(&word, &value()?)?),
            "--faults" => faults = Some(number(&word, &value()?)?),
            "--out" => storm.out = value()?.into(),
            "--keep" => storm.keep = true,
            "--smoke" => smoke = true,
            "--recovery" => recovery = true,
            "--rebalance" => rebalance = true,
            "--mutations" => mutations = Some(vec![]),
            "--help" | "-h" => return Ok(Task::Help),
            "--fsync" => {
                storm.fsync = match value()?.as_str() {
                    "always" => Fsync::Always,
                    "everysec" => Fsync::EverySec,
                    other => return Err(format!("--fsync is always or everysec, not {other}")),
                };
            }
            "--profile" => match value()?.as_str() {
                "standalone" => storm.profile = Profile::Standalone,
                "sentinel" => storm.profile = Profile::Sentinel,
                "cluster" => {
                    storm.profile = Profile::Cluster;
                    about = Some((Task::Storm, 5.0, 30_000, 280));
                }
                "schedules" => about = Some((Task::Schedules, 10.0, 600, 0)),
                "batches" => about = Some((Task::Batches, 3.5, 1_000_000, 40)),
                "limits" => about = Some((Task::Limits, 2.0, 12_000, 24)),
                "limits-sentinel" => {
                    storm.profile = Profile::Sentinel;
                    about = Some((Task::Limits, 3.0, 12_000, 20));
                }
                "limits-cluster" => {
                    storm.profile = Profile::Cluster;
                    about = Some((Task::Limits, 3.0, 12_000, 60));
                }
                "hung-sentinel" => {
                    storm.profile = Profile::Sentinel;
                    about = Some((Task::Hung, 3.0, 60, 4));
                }
                "hung-cluster" => {
                    storm.profile = Profile::Cluster;
                    about = Some((Task::Hung, 2.0, 100, 4));
                }
                "unique" => about = Some((Task::Unique, 10.0, 40_000, 200)),
                "unique-sentinel" => {
                    storm.profile = Profile::Sentinel;
                    about = Some((Task::Unique, 5.0, 12_000, 50));
                }
                other => {
                    return Err(format!(
                        "there is no profile {other}: there are standalone, sentinel, \
                         cluster, schedules, batches, limits, limits-sentinel, \
                         limits-cluster, hung-sentinel, hung-cluster, unique and \
                         unique-sentinel"
                    ));
                }
            },
            name if mutations.is_some() && !name.starts_with('-') => {
                mutations.get_or_insert_default().push(name.to_owned());
            }
            other => return Err(format!("`{other}` is not understood\n\n{USAGE}")),
        }
    }
    let (task, usual_minutes, usual_jobs, usual_faults) =
        about.unwrap_or((Task::Storm, 13.0, 100_000, 260));
    storm.minutes = minutes.unwrap_or(usual_minutes);
    (storm.jobs, storm.faults) = (jobs.unwrap_or(usual_jobs), faults.unwrap_or(usual_faults));
    if !(storm.minutes > 0.0 && storm.minutes <= 24.0 * 60.0) {
        return Err("--minutes is more than 0 and at most a day".into());
    }
    if storm.jobs == 0 || storm.jobs > 10_000_000 || storm.faults > 100_000 {
        return Err("--jobs is 1 to 10,000,000 and --faults at most 100,000".into());
    }
    Ok(match mutations {
        Some(names) => Task::Mutations(storm.out, names),
        None if smoke => Task::Smoke(storm.out),
        None if recovery => Task::Recovery(storm.out),
        None if rebalance => Task::Rebalance(storm.out),
        None => task(storm),
    })
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{name} is a number, not {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Task, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_line_is_understood_or_refused_by_name() {
        let Ok(Task::Storm(storm)) = words("--seed 7 --minutes 0.5 --jobs 10 --fsync everysec")
        else {
            panic!("a storm");
        };
        assert_eq!((storm.seed, storm.minutes, storm.jobs), (Some(7), 0.5, 10));
        assert_eq!(storm.fsync, Fsync::EverySec);
        assert_eq!(words("--smoke --out x"), Ok(Task::Smoke("x".into())));
        let some = words("--mutations fence tick --out x");
        assert_eq!(some, Ok(Task::Mutations("x".into(), vec!["fence".into(), "tick".into()])));
        let Ok(Task::Batches(storm)) = words("--profile batches --minutes 1") else {
            panic!("batches");
        };
        assert_eq!((storm.minutes, storm.jobs), (1.0, 1_000_000));
        let Ok(Task::Storm(storm)) = words("--jobs 7 --profile cluster") else { panic!("a storm") };
        assert_eq!((storm.jobs, storm.faults, storm.minutes), (7, 280, 5.0));
        let Ok(Task::Unique(storm)) = words("--profile unique-sentinel") else { panic!("unique") };
        assert_eq!((storm.profile, storm.jobs), (Profile::Sentinel, 12_000));
        assert!(words("--profile lonely").unwrap_err().contains("standalone"));
        for wrong in ["--seed", "--seed x", "--minutes 0", "--jobs 0", "storm", "--fsync never"] {
            assert!(words(wrong).is_err(), "{wrong}");
        }
    }
}
