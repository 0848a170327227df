//! Runs the demo: a client enqueues, three workers run jobs, one is killed, a fourth replaces it,
//! and the jobs of the dead worker are rescued.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::HumanCount;
use poolder::Result;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::events::Event;
use crate::processes::{self, WorkerProcess};
use crate::progress::{Gauge, Meter, Progress};
use crate::screen::Screen;
use crate::space::Space;

/// The interval at which the counters are read.
const TICK: Duration = Duration::from_millis(100);
/// The longest time before the kill: jobs kept longer would reach their timeout.
const LATEST_KILL: Duration = Duration::from_secs(5);
/// The time without progress after which the demo gives up.
const STALLED: Duration = Duration::from_secs(60);

/// The figures of a finished run.
pub(crate) struct Played {
    pub(crate) progress: Progress,
    /// Jobs per second while there was work.
    pub(crate) rate: Option<u64>,
    /// Attempts started, in all workers.
    pub(crate) started: u64,
    /// Second-stage jobs whose file had already been added to the totals.
    pub(crate) again: u64,
}

/// The phase of a run.
enum Phase {
    /// Only the worker that will be killed runs, so that it certainly gets jobs.
    Alone,
    /// Three workers share the work, since this time.
    Together(Instant),
    /// One worker has been dead since this time, and other workers may not run its jobs yet. The
    /// number is that of the jobs rescued at the last look: the leaders rescue one queue after the
    /// other.
    OneKilled(Instant, u64),
    /// The jobs of the dead worker have been rescued.
    Rescued,
}

pub(crate) struct Stage<'s> {
    space: Space,
    screen: &'s mut Screen,
    files: Arc<Vec<PathBuf>>,
    count: u64,
    gauge: Gauge,
    doomed: WorkerProcess,
    workers: Vec<WorkerProcess>,
    phase: Phase,
    progress: Progress,
    meters: [Meter; 3],
}

impl<'s> Stage<'s> {
    pub(crate) async fn new(
        space: Space,
        screen: &'s mut Screen,
        files: Arc<Vec<PathBuf>>,
    ) -> Result<Self> {
        let doomed = WorkerProcess::start(&space, &screen.voice(), 1, true)?;
        let gauge = Gauge::of(&space).await?;
        let meters = std::array::from_fn(|_| Meter::start());
        Ok(Self {
            count: u64::try_from(files.len())?,
            space,
            screen,
            files,
            gauge,
            doomed,
            workers: vec![],
            phase: Phase::Alone,
            progress: Progress::default(),
            meters,
        })
    }

    /// Runs until all jobs have ended and all workers have stopped.
    pub(crate) async fn play(mut self) -> Result<Played> {
        self.say_that_it_starts(&self.doomed);
        let mut client = JoinSet::new();
        let (space, voice) = (self.space.clone(), self.screen.voice());
        client.spawn(processes::enqueue(space, voice, Arc::clone(&self.files)));
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut moved = Instant::now();
        while !(client.is_empty() && self.progress.is_complete(self.count)) {
            ticks.tick().await;
            if let Some(ended) = client.try_join_next() {
                ended??;
                self.screen.say(format!("the client has enqueued {} jobs", HumanCount(self.count)));
            }
            if self.look().await? {
                moved = Instant::now();
            } else if moved.elapsed() > STALLED {
                let seconds = STALLED.as_secs();
                return Err(format!("nothing has moved for {seconds} s: giving up").into());
            }
            self.advance().await?;
            self.show();
        }
        self.close().await
    }

    /// Reads the counters. Returns true if one of them has changed.
    async fn look(&mut self) -> Result<bool> {
        self.workers.iter_mut().try_for_each(WorkerProcess::check)?;
        let before = std::mem::replace(&mut self.progress, self.gauge.read().await?);
        let [files, totals, all] = &mut self.meters;
        files.note(self.progress.files.settled());
        totals.note(self.progress.totals.settled());
        all.note(self.progress.settled());
        Ok(before != self.progress)
    }

    /// Enters the next phase when it is time.
    async fn advance(&mut self) -> Result<()> {
        match self.phase {
            Phase::Alone => {
                self.doomed.check()?;
                if self.doomed.events.files.count(Event::Started) > 0 {
                    self.start(2)?;
                    self.start(3)?;
                    self.phase = Phase::Together(Instant::now());
                }
            }
            Phase::Together(since) => {
                self.doomed.check()?;
                if self.is_time_to_kill(since) {
                    let pid = self.doomed.pid();
                    self.doomed.kill().await?;
                    let events = &self.doomed.events;
                    let held = events.files.running() + events.totals.running();
                    self.phase = Phase::OneKilled(Instant::now(), 0);
                    self.screen.say(format!(
                        "worker 1 (process {pid}) is killed with SIGKILL in the middle of {held} \
                         jobs"
                    ));
                    self.start(4)?;
                }
            }
            Phase::OneKilled(since, before) => {
                let rescued = self.progress.rescued();
                if rescued > before && !self.progress.is_complete(self.count) {
                    self.phase = Phase::OneKilled(since, rescued);
                } else if rescued > 0 {
                    let seconds = since.elapsed().as_secs_f32();
                    self.screen.say(format!(
                        "{rescued} jobs of the dead worker are rescued, {seconds:.1} s after the \
                         kill"
                    ));
                    self.phase = Phase::Rescued;
                }
            }
            Phase::Rescued => {}
        }
        Ok(())
    }

    /// Returns true after a quarter of the files, when the other workers have nothing else to do,
    /// or after [`LATEST_KILL`], but never before the worker keeps a job.
    fn is_time_to_kill(&self, since: Instant) -> bool {
        let (events, settled) = (&self.doomed.events.files, self.progress.files.settled());
        let is_far = settled >= self.count / 4 || settled + events.running() >= self.count;
        events.count(Event::Kept) > 0 && (is_far || since.elapsed() > LATEST_KILL)
    }

    fn start(&mut self, number: u32) -> Result<()> {
        let worker = WorkerProcess::start(&self.space, &self.screen.voice(), number, false)?;
        self.say_that_it_starts(&worker);
        self.workers.push(worker);
        Ok(())
    }

    fn say_that_it_starts(&self, worker: &WorkerProcess) {
        self.screen.say(format!("{} (process {}) starts", worker.name, worker.pid()));
    }

    fn show(&mut self) {
        let status = match self.phase {
            Phase::Alone => "worker 1 starts, the client enqueues",
            Phase::Together(_) => "three workers at work; one of them will be killed",
            Phase::OneKilled(..) => {
                "waiting for the dead worker's jobs: after about 10 s of silence it counts as dead"
            }
            Phase::Rescued => "three workers finish",
        };
        let [files, totals, _] = &self.meters;
        self.screen.show(&self.progress, [files.rate(), totals.rate()], status);
    }

    async fn close(mut self) -> Result<Played> {
        self.workers.iter_mut().for_each(WorkerProcess::release);
        for worker in &mut self.workers {
            worker.stop().await?;
        }
        let all_events = self.workers.iter().chain([&self.doomed]).map(|worker| &worker.events);
        let (mut started, mut again) = (0, 0);
        for events in all_events {
            started += events.files.count(Event::Started) + events.totals.count(Event::Started);
            again += events.totals.count(Event::Again);
        }
        // A last look: jobs may have ended since the loop did.
        let progress = self.gauge.read().await?;
        let [_, _, all] = &self.meters;
        Ok(Played { progress, rate: all.rate(), started, again })
    }
}
