//! The play: a client and three workers; one is killed, another steps in, its jobs are rescued.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::HumanCount;
use poolder::prelude::Result;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::events::Event;
use crate::processes::{self, WorkerProcess};
use crate::progress::{Gauge, Meter, Progress};
use crate::screen::Screen;
use crate::space::Space;

/// The counters are read this often.
const TICK: Duration = Duration::from_millis(100);
/// The kill does not wait longer than this: jobs that are kept too long time out.
const LATEST_KILL: Duration = Duration::from_secs(5);
/// When nothing has moved for so long, something is wrong.
const STALLED: Duration = Duration::from_secs(60);

/// What is to be said when it is over.
pub(crate) struct Played {
    pub(crate) progress: Progress,
    /// Jobs per second while there was work.
    pub(crate) rate: Option<u64>,
    /// Attempts that were started, in all workers.
    pub(crate) started: u64,
    /// Second-stage jobs that had been added up before.
    pub(crate) again: u64,
}

/// Where in the play we are.
enum Act {
    /// Only the worker that will be killed is there, so that it surely gets a job.
    Alone,
    /// Three workers share the work, since then.
    Together(Instant),
    /// One is dead since then, and holds jobs that nobody else may run yet. So many were rescued
    /// when we last looked: the two queues are seen to one after the other.
    Bereaved(Instant, u64),
    /// Its jobs were given to others.
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
    act: Act,
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
            act: Act::Alone,
            progress: Progress::default(),
            meters,
        })
    }

    /// Plays to the end: every job's fate is decided, all workers have stopped in order.
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
            self.act().await?;
            self.show();
        }
        self.close().await
    }

    /// Reads the counters; true if one of them has changed.
    async fn look(&mut self) -> Result<bool> {
        self.workers.iter_mut().try_for_each(WorkerProcess::check)?;
        let before = std::mem::replace(&mut self.progress, self.gauge.read().await?);
        let [files, totals, all] = &mut self.meters;
        files.note(self.progress.files.settled());
        totals.note(self.progress.totals.settled());
        all.note(self.progress.settled());
        Ok(before != self.progress)
    }

    /// Goes on to the next act when it is time.
    async fn act(&mut self) -> Result<()> {
        match self.act {
            Act::Alone => {
                self.doomed.check()?;
                if self.doomed.diary.files.count(Event::Started) > 0 {
                    self.start(2)?;
                    self.start(3)?;
                    self.act = Act::Together(Instant::now());
                }
            }
            Act::Together(since) => {
                self.doomed.check()?;
                if self.is_time_to_kill(since) {
                    let pid = self.doomed.pid();
                    self.doomed.kill().await?;
                    let diary = &self.doomed.diary;
                    let held = diary.files.running() + diary.totals.running();
                    self.act = Act::Bereaved(Instant::now(), 0);
                    self.screen.say(format!(
                        "worker 1 (process {pid}) is killed with SIGKILL in the middle of {held} \
                         jobs"
                    ));
                    self.start(4)?;
                }
            }
            Act::Bereaved(since, before) => {
                let rescued = self.progress.rescued();
                if rescued > before && !self.progress.is_complete(self.count) {
                    self.act = Act::Bereaved(since, rescued);
                } else if rescued > 0 {
                    let seconds = since.elapsed().as_secs_f32();
                    self.screen.say(format!(
                        "{rescued} jobs of the dead worker are rescued, {seconds:.1} s after the \
                         kill"
                    ));
                    self.act = Act::Rescued;
                }
            }
            Act::Rescued => {}
        }
        Ok(())
    }

    /// A quarter of the way, or when the others have left nothing else to do, or after a while; and
    /// never before the worker has something to lose.
    fn is_time_to_kill(&self, since: Instant) -> bool {
        let (told, settled) = (&self.doomed.diary.files, self.progress.files.settled());
        let is_far = settled >= self.count / 4 || settled + told.running() >= self.count;
        told.count(Event::Kept) > 0 && (is_far || since.elapsed() > LATEST_KILL)
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
        let status = match self.act {
            Act::Alone => "worker 1 starts, the client enqueues",
            Act::Together(_) => "three workers at work; one of them will be killed",
            Act::Bereaved(..) => {
                "waiting for the dead worker's jobs: after about 10 s of silence it counts as dead"
            }
            Act::Rescued => "three workers finish",
        };
        let [files, totals, _] = &self.meters;
        self.screen.show(&self.progress, [files.rate(), totals.rate()], status);
    }

    async fn close(mut self) -> Result<Played> {
        self.workers.iter_mut().for_each(WorkerProcess::release);
        for worker in &mut self.workers {
            worker.stop().await?;
        }
        let diaries = self.workers.iter().chain([&self.doomed]).map(|worker| &worker.diary);
        let (mut started, mut again) = (0, 0);
        for diary in diaries {
            started += diary.files.count(Event::Started) + diary.totals.count(Event::Started);
            again += diary.totals.count(Event::Again);
        }
        // Read once more: the last jobs were still running when the others were done.
        let progress = self.gauge.read().await?;
        let [_, _, all] = &self.meters;
        Ok(Played { progress, rate: all.rate(), started, again })
    }
}
