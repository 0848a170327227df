//! The slots and the registry of addressed pools, and broadcasts.

use poolder::Mode;
use poolder_core::broker::{
    AcquireReply, CastReply, Durability, PollRequest, PoolHeartbeat, Report, RetryPlacement,
    SlotLease,
};
use poolder_core::{EntryId, Envelope, Lane};

use super::inject::{NOTHING, Tolerated};
use super::jobs::{bury, release, retry, settlement};
use super::{Lab, envelope, lane_key, node, partition};

pub(super) const SCRIPTS: &[&str] = &[
    "addressed/slot_acquire",
    "addressed/slot_begin",
    "addressed/slot_release",
    "addressed/slot_poll",
    "addressed/slot_cast",
    "addressed/slot_move",
    "addressed/pool_define",
    "addressed/pool_resize",
    "addressed/pool_report",
    "addressed/pool_join",
    "addressed/broadcast",
];

impl Lab {
    async fn define(&self, size: u16) {
        self.broker().define_pool(&partition().queue, Mode::Phash, size).await.unwrap();
    }

    async fn lease(&self) -> SlotLease {
        match self.broker().acquire_slot(&partition(), &node(), None).await.unwrap() {
            AcquireReply::Ours(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    async fn cast(&self, generation: u64, number: u8) -> EntryId {
        let job = Envelope::parse(envelope(number, "k", b"\x80")).unwrap();
        match self.broker().cast(generation, &partition(), &job, Durability::Memory).await.unwrap()
        {
            CastReply::Stored(entry) => entry,
            CastReply::Stale => panic!("the pool was not resized"),
        }
    }
}

async fn polls(lab: &mut Lab) {
    for lane in [Lane::Front, Lane::Normal] {
        for look in [false, true] {
            lab.reset();
            lab.define(1).await;
            let lease = lab.lease().await;
            let jobs = [1, 2].map(|number| envelope(number, "k", b"\x80"));
            let (claims, _connection) = lab.claim(lane, &jobs).await;
            lab.set("XADD", &lane_key(lane), &[b"*", b"j", &envelope(3, "k", b"\x80")]);
            let complete: Vec<_> = claims.iter().map(|claim| claim.entry.clone()).collect();
            let request = PollRequest {
                complete: &complete,
                claim: 4,
                generation: 2,
                open: true,
                look,
                lane,
                ..PollRequest::default()
            };
            let fault = lab.snapshot();
            lab.broker().poll_slot(&lease, &request).await.unwrap();
            // A claim that failed after the jobs were completed, or that the caller was not told
            // about, is looked for by the next poll.
            let but = Tolerated { survived: &["ready:", "lease"], steps: true, ..NOTHING };
            lab.inject_but("addressed/slot_poll", &format!("{lane}, look: {look}"), fault, but);
        }
    }
    lab.reset();
    lab.define(1).await;
    let lease = lab.lease().await;
    lab.set("HSET", "lease", &[b"hold", b"5"]);
    lab.cast(1, 1).await;
    let request = PollRequest { claim: 1, generation: 1, open: false, ..PollRequest::default() };
    let fault = lab.snapshot();
    lab.broker().poll_slot(&lease, &request).await.unwrap();
    // An empty front lane without a hold is not read again.
    let but = Tolerated { repeated: &["ready:front"], steps: true, ..NOTHING };
    lab.inject_but("addressed/slot_poll", "closed, after a hold", fault, but);
}

async fn slots(lab: &mut Lab) {
    lab.reset();
    let fault = lab.snapshot();
    let lease = lab.lease().await;
    // A lane without its group gets one from the first claim.
    let but = Tolerated { survived: &["ready:"], ..NOTHING };
    lab.inject_but("addressed/slot_acquire", "free", fault, but);

    let fault = lab.snapshot();
    lab.broker().begin_suspect_in_slot(&lease, "1-1").await.unwrap();
    lab.inject("addressed/slot_begin", "begin", fault);

    for stop in [false, true] {
        lab.reset();
        let lease = lab.lease().await;
        lab.cast(1, 1).await;
        let request = PollRequest { claim: 1, generation: 1, open: true, ..PollRequest::default() };
        lab.broker().poll_slot(&lease, &request).await.unwrap();
        let fault = lab.snapshot();
        lab.broker().release_slot(&lease, stop).await.unwrap();
        lab.inject("addressed/slot_release", &format!("stop: {stop}"), fault);
    }
    for generation in [1, 2] {
        lab.reset();
        lab.cast(1, 1).await;
        let fault = lab.snapshot();
        lab.cast(generation, 2).await;
        // Without the edge the slot waits for the others with older entries, too.
        let but = Tolerated { survived: &["lease"], ..NOTHING };
        lab.inject_but("addressed/slot_cast", &format!("generation {generation}"), fault, but);
    }
}

async fn moves(lab: &mut Lab) {
    lab.reset();
    let lease = lab.lease().await;
    let (claims, _connection) = lab.claim(Lane::Normal, &[envelope(1, "k", b"\x80")]).await;
    let claim = &claims[0];
    let fault = lab.snapshot();
    let plan = lab.broker().record_move(&lease, claim.job_id(), 0).await.unwrap().unwrap();
    lab.inject("addressed/slot_move", "record", fault);
    let fault = lab.snapshot();
    lab.broker().cast_moved(1, &partition(), plan, claim).await.unwrap();
    // Without the edge the slot waits for the others with older entries, too.
    let but = Tolerated { survived: &["lease"], ..NOTHING };
    lab.inject_but("addressed/slot_cast", "a job that is moved", fault, but);
}

async fn registry(lab: &mut Lab) {
    lab.reset();
    let queue = partition().queue;
    let fault = lab.snapshot();
    lab.define(4).await;
    lab.inject("addressed/pool_define", "new", fault);
    let fault = lab.snapshot();
    lab.define(4).await;
    lab.inject("addressed/pool_define", "known", fault);

    let fault = lab.snapshot();
    lab.broker().pool_heartbeat(&queue, "me", PoolHeartbeat::Join).await.unwrap();
    lab.inject("addressed/pool_join", "join", fault);
    let fault = lab.snapshot();
    lab.broker().pool_heartbeat(&queue, "me", PoolHeartbeat::Leave).await.unwrap();
    lab.inject("addressed/pool_join", "leave", fault);

    lab.set("SADD", "retired", &[b"7"]);
    let fault = lab.snapshot();
    lab.broker().resize_pool(&queue, 1).await.unwrap();
    lab.inject("addressed/pool_resize", "smaller", fault);

    for report in [Report::Drained, Report::Retired] {
        for index in 0..4 {
            let slot = poolder_core::Partition { queue: queue.clone(), index };
            let fault = lab.snapshot();
            lab.broker().report_slot(&slot, 2, report).await.unwrap();
            // The next resize removes the reports.
            let but = Tolerated { survived: &["drained", "retired"], ..NOTHING };
            lab.inject_but("addressed/pool_report", &format!("slot {index}"), fault, but);
        }
    }

    lab.reset();
    let job = Envelope::parse(envelope(1, "k", b"\x80")).unwrap();
    lab.broker().broadcast(&queue, &job).await.unwrap();
    let fault = lab.snapshot();
    lab.broker().broadcast(&queue, &job).await.unwrap();
    // A number may be left out.
    let but = Tolerated { repeated: &["broadcast"], ..NOTHING };
    lab.inject_but("addressed/broadcast", "second", fault, but);
}

#[tokio::test]
async fn an_error_in_a_script_of_a_slot_is_mended() {
    let mut lab = Lab::start();
    polls(&mut lab).await;
    slots(&mut lab).await;
    moves(&mut lab).await;
    registry(&mut lab).await;
    lab.finish(SCRIPTS);
}

#[tokio::test]
async fn an_error_in_a_settlement_under_a_lease_is_mended() {
    let mut lab = Lab::start();
    for placement in [RetryPlacement::BlockSlot, RetryPlacement::Reschedule] {
        for (case, transition) in
            [("retry", retry as fn(&_) -> _), ("release", release), ("burial", bury)]
        {
            lab.reset();
            let lease = lab.lease().await;
            let jobs = [envelope(1, "k", b"\x80")];
            let (claims, _connection) = lab.claim(Lane::Front, &jobs).await;
            for number in [2, 3] {
                let waiting = envelope(number, "k", b"\x80");
                lab.set("XADD", &lane_key(Lane::Front), &[b"*", b"j", &waiting]);
            }
            let fault = lab.snapshot();
            let settlement = settlement(&claims[0], transition(&claims[0]));
            lab.settle(&[settlement.under_lease(&lease, placement)]).await;
            lab.inject("jobs/settle", &format!("{case}, {placement:?}"), fault);
        }
    }
    lab.reset();
    let lease = lab.lease().await;
    let (claims, _connection) = lab.claim(Lane::Normal, &[envelope(1, "k", b"\x80")]).await;
    lab.broker().record_move(&lease, claims[0].job_id(), 1).await.unwrap().unwrap();
    let fault = lab.snapshot();
    let moved = settlement(&claims[0], release(&claims[0])).moved_to(1);
    lab.settle(&[moved.under_lease(&lease, RetryPlacement::BlockSlot)]).await;
    lab.inject("jobs/settle", "a job that was moved", fault);
    lab.finish(&["jobs/settle"]);
}
