//! Storing and removing schedules, and publishing their ticks.

use std::time::Duration;

use poolder::{Overlap, Schedule, Timestamp, Timing};
use poolder_core::Envelope;
use poolder_core::broker::Declaration;

use super::inject::{NOTHING, Tolerated};
use super::{Lab, envelope, partition};
use crate::harness::RawEntry;

pub(super) const SCRIPTS: &[&str] = &[
    "schedule/schedule_put",
    "schedule/schedule_drop",
    "schedule/schedule_holder",
    "schedule/tick",
];

/// The list of the last runs keeps no script from its work.
const RUNS: Tolerated<'_> = Tolerated { survived: &["schedules:runs"], ..NOTHING };

const HOUR: i64 = 3_600_000;

fn nightly() -> Schedule {
    let job = Envelope::parse(envelope(1, "k", b"\x80")).unwrap();
    Schedule::new(Timing::every(Duration::from_secs(3600)).unwrap(), job)
}

impl Lab {
    /// Stores the schedule, which ticks every hour. Returns its first tick.
    async fn schedule(&self, overlap: Overlap) -> Timestamp {
        let mut schedule = nightly();
        schedule.overlap = overlap;
        let info = self.broker().put_schedule(&partition(), "nightly", None, &schedule).await;
        info.unwrap().next.unwrap()
    }

    async fn tick(&self, at: Timestamp) {
        self.broker().publish_ticks_as_of(&partition(), "n1", Some(at)).await.unwrap();
    }
}

#[tokio::test]
async fn an_error_in_a_script_of_a_schedule_is_mended() {
    let mut lab = Lab::start();
    lab.reset();
    let fault = lab.snapshot();
    lab.schedule(Overlap::Allow).await;
    lab.inject("schedule/schedule_put", "new", fault);
    let fault = lab.snapshot();
    lab.schedule(Overlap::Skip).await;
    lab.inject("schedule/schedule_put", "changed", fault);
    let fault = lab.snapshot();
    lab.broker().remove_schedule(&partition(), "nightly").await.unwrap();
    lab.inject("schedule/schedule_drop", "waits for its tick", fault);
    lab.reset();
    let fault = lab.snapshot();
    let declaration = Declaration::new(partition().queue, "nightly", nightly());
    lab.broker().declare_schedules("owner", "deploy", &[declaration]).await.unwrap();
    lab.inject("schedule/schedule_put", "declared", fault);

    for overlap in [Overlap::Allow, Overlap::Skip, Overlap::QueueOne] {
        lab.reset();
        let first = lab.schedule(overlap).await;
        for tick in 0..3 {
            let fault = lab.snapshot();
            lab.tick(Timestamp::from_millis(first.millis() + tick * HOUR)).await;
            lab.inject_but("schedule/tick", &format!("{overlap:?}, tick {tick}"), fault, RUNS);
        }
        // The end of the running job is not noted.
        lab.set("DEL", "ready:normal", &[]);
        let fault = lab.snapshot();
        lab.tick(Timestamp::from_millis(first.millis() + 3 * HOUR)).await;
        // The end of the lost job may be noted without the tick.
        let but = Tolerated { steps: true, ..RUNS };
        lab.inject_but("schedule/tick", &format!("{overlap:?}, after a loss"), fault, but);
        let fault = lab.snapshot();
        lab.broker().remove_schedule(&partition(), "nightly").await.unwrap();
        lab.inject_but("schedule/schedule_drop", &format!("{overlap:?}"), fault, RUNS);
    }
    // The running job has moved behind more bytes than a tick searches, or is gone.
    for found in [true, false] {
        lab.reset();
        let first = lab.schedule(Overlap::Skip).await;
        lab.tick(first).await;
        let lane = lab.space.key("q", "ready:normal");
        let entries: Vec<RawEntry> = lab.ask(redis::cmd("XRANGE").arg(lane).arg("-").arg("+"));
        lab.set("DEL", "ready:normal", &[]);
        let large = [envelope(9, "k", b"\x80"), vec![0; 1_100_000]].concat();
        lab.set("XADD", "ready:front", &[b"*", b"j", &large]);
        if found {
            lab.set("XADD", "ready:normal", &[b"*", b"j", &entries[0].1[0].1]);
        }
        let fault = lab.snapshot();
        lab.tick(Timestamp::from_millis(first.millis() + HOUR)).await;
        lab.inject("schedule/schedule_holder", &format!("found: {found}"), fault);
        // The next tick knows.
        lab.tick(Timestamp::from_millis(first.millis() + 2 * HOUR)).await;
        let jobs: usize = lab.ask(redis::cmd("XLEN").arg(lab.space.key("q", "ready:normal")));
        assert_eq!(jobs, 1, "the job that runs, or the one of the tick");
    }
    lab.finish(SCRIPTS);
}
