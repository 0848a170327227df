//! The operation of a job whose schedule allows one job at a time.

use poolder::Lane;
use poolder_core::policy::decide::Transition;

use super::{Shape, Stage, bury, counted, envelope, id_of, release, settlement};

const NIGHTLY: Shape<'static> =
    Shape { number: 1, batch: false, alone: Some("nightly"), kept: false };

impl Stage {
    /// Notes the running job of the schedule, and a queued one.
    async fn schedule(&self, running: u8, queued: Option<&[u8]>) {
        let key = self.key("schedules:running");
        let holder = [id_of(running).as_bytes().as_slice(), b"\x031-1"].concat();
        let _: u64 = self.set("HSET", &[key.as_bytes(), b"nightly", &holder]).await;
        if let Some(queued) = queued {
            let key = self.key("schedules:queued");
            let _: u64 = self.set("HSET", &[key.as_bytes(), b"nightly", queued]).await;
        }
    }

    /// Returns the number of the running job, and whether another is queued.
    async fn schedule_now(&self) -> (Option<u8>, bool) {
        let running = self.hash("schedules:running").await;
        let queued = self.hash("schedules:queued").await;
        (running.get("nightly").map(|holder| holder[0]), queued.contains_key("nightly"))
    }
}

/// Returns a job that is queued behind the running one, for this lane.
fn queued(number: u8, lane: u8) -> Vec<u8> {
    [&[lane], envelope(Shape { number, ..NIGHTLY }).as_bytes()].concat()
}

#[tokio::test]
async fn the_end_of_the_running_job_starts_the_queued_one() {
    let mut stage = Stage::new("op-done").await;
    let claims = stage.claim_from(Lane::Normal, &[NIGHTLY, Shape { number: 2, ..NIGHTLY }]).await;
    stage.schedule(1, Some(&queued(9, 2))).await;
    stage.apply(settlement(&claims[0], Transition::Complete)).await;
    assert_eq!(stage.schedule_now().await, (Some(9), false));
    assert_eq!(stage.numbers(Lane::High).await, [9]);
    // Job 2 is not the one that the schedule runs.
    stage.apply(settlement(&claims[1], bury(&claims[1]))).await;
    assert_eq!(stage.schedule_now().await, (Some(9), false));
}

#[tokio::test]
async fn a_job_that_goes_on_keeps_its_schedule_until_it_is_cancelled() {
    let mut stage = Stage::new("op-goes-on").await;
    stage.schedule(1, None).await;
    let claim = stage.claim(NIGHTLY).await;
    stage.apply(settlement(&claim, release(&claim))).await;
    assert_eq!(stage.schedule_now().await, (Some(1), false));
    let claim = stage.line.exchange(&[], Some((Lane::Front, 1)), true).await.unwrap();
    let claim = claim.claimed.unwrap().jobs.remove(0);
    stage.cancel(1).await;
    stage.apply(settlement(&claim, release(&claim))).await;
    assert_eq!(stage.schedule_now().await, (None, false));
}

#[tokio::test]
async fn a_lost_claim_leaves_the_schedule_as_it_is() {
    let mut stage = Stage::new("op-schedule-lost").await;
    stage.schedule(1, Some(&queued(9, 3))).await;
    let claim = stage.claim(NIGHTLY).await;
    stage.refuses(&claim, settlement(&claim, Transition::Complete)).await;
}

#[tokio::test]
async fn rubbish_in_the_keys_of_the_schedule_does_not_keep_its_job_from_ending() {
    for rubbish in [&b""[..], b"\x03", b"\x09 a lane that does not exist, and an envelope"] {
        let mut stage = Stage::new("op-schedule-rubbish").await;
        stage.schedule(1, Some(rubbish)).await;
        let claim = stage.claim(NIGHTLY).await;
        stage.apply(settlement(&claim, Transition::Complete)).await;
        assert_eq!(stage.schedule_now().await, (None, true));
    }
    for key in ["schedules:running", "schedules:queued"] {
        let mut stage = Stage::new("op-schedule-types").await;
        let name = stage.key(key);
        if key == "schedules:queued" {
            stage.schedule(1, None).await;
        }
        let _: String = stage.set("SET", &[name.as_bytes(), b"mine"]).await;
        let claim = stage.claim(NIGHTLY).await;
        stage.apply(settlement(&claim, bury(&claim))).await;
        assert_eq!(stage.counts("stats").await, counted(&[("buried", 1)]));
        assert_eq!(stage.space.dead("q").await.len(), 1);
    }
}
