//! Schedules with extreme settings. None of them ticks during a run.

use std::time::Duration;

use poolder::{Missed, Overlap, Timestamp};

use super::caller::Calls;
use super::draw::{Draw, HOUR};
use super::{JOBS, Odd};

impl Calls {
    /// Adds a schedule, operates it, and removes it.
    pub(super) async fn schedule(&self, number: u64, mut draw: Draw) {
        let (name, lane) = (draw.checked_name(number, 128), draw.lane());
        let (queue, policy) = (draw.queue(JOBS), draw.policy());
        let zone = if draw.forbid("zone") { "Mars/Olympus" } else { "Europe/Berlin" };
        let every = if draw.forbid("interval") {
            draw.random.pick(&[Duration::ZERO, Duration::MAX])
        } else {
            draw.random.pick(&[24 * HOUR, 10_000 * HOUR])
        };
        let jitter = if draw.forbid("jitter") { Duration::MAX } else { draw.duration_if(false) };
        let most = if draw.forbid("missed") { 0 } else { 1 };
        let within = draw.random.pick(&[Duration::from_millis(1), HOUR]);
        let missed = Missed::All { most, within };
        let overlap = draw.random.pick(&[Overlap::Allow, Overlap::Skip]);
        let end = if draw.forbid("end") { i64::MIN } else { i64::MAX };
        let (start, end) = (Timestamp::now() + 24 * HOUR, Timestamp::from_millis(end));
        let add = async || {
            let job = Odd { number, fails: false, padding: String::new() };
            let new = self.client.schedule(&name, every, job).queue(&queue).lane(lane).zone(zone);
            let new = new.policy(policy.clone()).jitter(jitter).missed(missed).overlap(overlap);
            new.start(start).end(end).await
        };
        let what = format!("schedule {number} every {every:?} jitter {jitter:?} {policy:?}");
        let added = self.drawn(&what, &draw, add).await;
        let schedules = self.client.schedules(JOBS);
        // An illegal name is refused here, too.
        let found = self.answer(&what, async || schedules.get(&name).await).await;
        if matches!(found, Some(Ok(Some(_)))) != added.is_some() {
            self.broken("a schedule is stored although refused, or missing", what.clone());
        }
        if added.is_none() {
            return;
        }
        let count = draw.random.pick(&[0, 1, 50]);
        let ticks = self.good(&what, async || schedules.preview(&name, count).await).await;
        if ticks.is_some_and(|ticks| ticks.len() != count) {
            self.broken("a preview has another length", format!("{what}: {count}"));
        }
        self.good(&what, async || schedules.pause(&name).await).await;
        self.good(&what, async || schedules.resume(&name).await).await;
        self.good(&what, async || schedules.page(0).await).await;
        self.good(&what, async || schedules.run_now(&name).await).await;
        self.good(&what, async || schedules.remove(&name).await).await;
        let found = self.good(&what, async || schedules.get(&name).await).await;
        if found.is_some_and(|found| found.is_some()) {
            self.broken("a removed schedule is still there", what);
        }
    }
}
