use std::time::Duration;

use super::*;

/// The facts of a claimer that has room for 8 jobs, nothing to settle, and an open connection.
fn idle(now: Instant) -> ClaimFacts {
    ClaimFacts {
        now,
        connection: ConnectionFact::Open,
        may_claim: true,
        must_settle: false,
        not_before: now,
        outdated: false,
        retry_at: None,
        adopt_at: None,
        audit_at: now + Duration::from_secs(30),
        wanted: 8,
        suspects: true,
        look_first: false,
        limited: None,
        wait: WaitChoice::Block { renew: false },
        joint: false,
        end_wait_at: None,
    }
}

fn lanes(depths: [u64; 5]) -> Lanes {
    let mut lanes = Lanes::default();
    lanes.learn(depths);
    lanes
}

#[tokio::test]
async fn jobs_are_claimed_from_the_best_lane_as_many_as_there_is_room_for() {
    let facts = idle(Instant::now());
    let exchange = |lane, count| ClaimStep::Exchange(Some((lane, count)));
    assert_eq!(next(&facts, &mut lanes([0, 0, 3, 9, 0])), exchange(Lane::High, 8));
    assert_eq!(next(&facts, &mut lanes([0, 2, 3, 9, 0])), exchange(Lane::Suspect, 1));
    let busy = ClaimFacts { suspects: false, ..facts };
    assert_eq!(next(&busy, &mut lanes([0, 2, 3, 9, 0])), exchange(Lane::High, 8));
}

#[tokio::test]
async fn without_jobs_the_claimer_waits_and_without_room_it_pauses_until_the_audit() {
    let facts = idle(Instant::now());
    let mut empty = lanes([0; 5]);
    assert_eq!(next(&facts, &mut empty), ClaimStep::Block { suspects: true, renew: false });
    let busy = ClaimFacts { suspects: false, ..facts };
    assert_eq!(next(&busy, &mut empty), ClaimStep::Block { suspects: false, renew: false });
    let unsure = ClaimFacts { look_first: true, ..facts };
    assert_eq!(next(&unsure, &mut empty), ClaimStep::Exchange(None));
    let found = next(&unsure, &mut lanes([0, 0, 0, 1, 0]));
    assert_eq!(found, ClaimStep::Exchange(Some((Lane::Normal, 8))));
    let full = ClaimFacts { wanted: 0, ..facts };
    assert_eq!(next(&full, &mut lanes([9; 5])), ClaimStep::Pause(facts.audit_at));
    let adopt_at = facts.now + Duration::from_secs(1);
    let doubting = ClaimFacts { adopt_at: Some(adopt_at), ..full };
    assert_eq!(next(&doubting, &mut empty), ClaimStep::Pause(adopt_at));
}

#[tokio::test]
async fn jobs_that_have_ended_are_settled_in_the_round_trip_of_the_next_claim() {
    let facts = ClaimFacts { must_settle: true, ..idle(Instant::now()) };
    let claim = next(&facts, &mut lanes([0; 5]));
    assert_eq!(claim, ClaimStep::Exchange(Some((Lane::Normal, 8))), "the likely lane");
    let full = ClaimFacts { wanted: 0, ..facts };
    assert_eq!(next(&full, &mut lanes([9; 5])), ClaimStep::Exchange(None));
    let waiting = ClaimFacts { connection: ConnectionFact::Waiting, ..facts };
    assert_eq!(next(&waiting, &mut lanes([0; 5])), ClaimStep::SettleBeside);
    let done = ClaimFacts { must_settle: false, ..waiting };
    assert_eq!(next(&done, &mut lanes([0; 5])), ClaimStep::Listen);
}

#[tokio::test]
async fn after_a_failure_nothing_is_sent_before_the_pause_is_over() {
    let now = Instant::now();
    let later = now + Duration::from_millis(50);
    let facts = ClaimFacts { must_settle: true, not_before: later, ..idle(now) };
    for (connection, step) in [
        (ConnectionFact::Closed, ClaimStep::Pause(later)),
        (ConnectionFact::Open, ClaimStep::Pause(later)),
        (ConnectionFact::Waiting, ClaimStep::Listen),
    ] {
        assert_eq!(next(&ClaimFacts { connection, ..facts }, &mut lanes([1; 5])), step);
    }
    let over = ClaimFacts { now: later, connection: ConnectionFact::Closed, ..facts };
    assert_eq!(next(&over, &mut lanes([1; 5])), ClaimStep::Open);
}

#[tokio::test]
async fn a_settlement_that_is_tried_again_later_ends_a_pause_but_keeps_no_claim_waiting() {
    let now = Instant::now();
    let soon = now + Duration::from_millis(50);
    let facts = ClaimFacts { retry_at: Some(soon), ..idle(now) };
    let claim = next(&facts, &mut lanes([0, 0, 0, 1, 0]));
    assert_eq!(claim, ClaimStep::Exchange(Some((Lane::Normal, 8))));
    let full = ClaimFacts { wanted: 0, ..facts };
    assert_eq!(next(&full, &mut lanes([9; 5])), ClaimStep::Pause(soon));
    let paused = ClaimFacts { may_claim: false, connection: ConnectionFact::Closed, ..full };
    assert_eq!(next(&paused, &mut lanes([9; 5])), ClaimStep::Pause(soon));
    let later = soon + Duration::from_secs(1);
    let failed = ClaimFacts { not_before: later, ..paused };
    assert_eq!(next(&failed, &mut lanes([9; 5])), ClaimStep::Pause(later));
}

#[tokio::test]
async fn with_empty_lanes_the_wait_permit_decides_and_with_jobs_it_does_not_matter() {
    let now = Instant::now();
    let later = now + Duration::from_secs(8);
    for (wait, step) in [
        (WaitChoice::Block { renew: true }, ClaimStep::Block { suspects: true, renew: true }),
        (WaitChoice::Ask, ClaimStep::AskToWait),
        (WaitChoice::Visit, ClaimStep::Visit),
        (WaitChoice::Rest(later), ClaimStep::Rest(later)),
    ] {
        let facts = ClaimFacts { wait, ..idle(now) };
        assert_eq!(next(&facts, &mut lanes([0; 5])), step);
        let unsure = ClaimFacts { look_first: true, ..facts };
        let looks = matches!(wait, WaitChoice::Block { .. });
        let step = if looks { ClaimStep::Exchange(None) } else { step };
        assert_eq!(next(&unsure, &mut lanes([0; 5])), step, "only a wait needs the depths");
        let claim = ClaimStep::Exchange(Some((Lane::Normal, 8)));
        assert_eq!(next(&facts, &mut lanes([0, 0, 0, 1, 0])), claim);
        let settles = ClaimFacts { must_settle: true, ..facts };
        assert_eq!(next(&settles, &mut lanes([0; 5])), claim, "a job has ended");
    }
    let resting = ClaimFacts { wait: WaitChoice::Rest(later), ..idle(now) };
    let adopts = ClaimFacts { adopt_at: Some(now + Duration::from_secs(1)), ..resting };
    assert_eq!(
        next(&adopts, &mut lanes([0; 5])),
        ClaimStep::Rest(now + Duration::from_secs(1)),
        "lost claims are looked for in time"
    );
}

#[tokio::test]
async fn a_permit_is_given_up_only_after_the_jobs_that_have_ended_are_settled() {
    let now = Instant::now();
    let full = ClaimFacts { wanted: 0, end_wait_at: Some(now), ..idle(now) };
    assert_eq!(next(&full, &mut lanes([9; 5])), ClaimStep::EndWait);
    let settles = ClaimFacts { must_settle: true, ..full };
    assert_eq!(next(&settles, &mut lanes([9; 5])), ClaimStep::Exchange(None));
    let soon = now + Duration::from_millis(2);
    let later = ClaimFacts { end_wait_at: Some(soon), ..full };
    assert_eq!(next(&later, &mut lanes([9; 5])), ClaimStep::Pause(soon));
    let failed = ClaimFacts { not_before: soon, ..full };
    assert_eq!(next(&failed, &mut lanes([9; 5])), ClaimStep::Pause(soon));
}

#[tokio::test]
async fn a_closed_connection_is_opened_only_to_claim_or_to_settle() {
    let facts = ClaimFacts { connection: ConnectionFact::Closed, ..idle(Instant::now()) };
    assert_eq!(next(&facts, &mut lanes([0; 5])), ClaimStep::Open);
    let paused = ClaimFacts { may_claim: false, wanted: 0, ..facts };
    assert_eq!(next(&paused, &mut lanes([0; 5])), ClaimStep::Pause(facts.not_before));
    let must_settle = ClaimFacts { must_settle: true, ..paused };
    assert_eq!(next(&must_settle, &mut lanes([0; 5])), ClaimStep::Open);
}

#[tokio::test]
async fn the_connection_is_repaired_before_anything_is_claimed() {
    let facts = idle(Instant::now());
    let outdated = ClaimFacts { outdated: true, ..facts };
    assert_eq!(next(&outdated, &mut lanes([1; 5])), ClaimStep::Close);
    let adopting = ClaimFacts { adopt_at: Some(facts.now), ..facts };
    assert_eq!(next(&adopting, &mut lanes([1; 5])), ClaimStep::Adopt);
    let audit = ClaimFacts { audit_at: facts.now, must_settle: true, ..facts };
    assert_eq!(next(&audit, &mut lanes([1; 5])), ClaimStep::Adopt);
}

#[tokio::test]
async fn an_idle_claimer_waits_together_with_others_and_needs_no_connection() {
    let now = Instant::now();
    let joint = ClaimFacts { joint: true, ..idle(now) };
    let block = ClaimStep::BlockJointly { suspects: true, renew: false };
    assert_eq!(next(&joint, &mut lanes([0; 5])), block);
    let found = ClaimStep::Exchange(Some((Lane::Normal, 8)));
    assert_eq!(next(&joint, &mut lanes([0, 0, 0, 1, 0])), found);
    let later = now + Duration::from_secs(8);
    let rests = ClaimFacts { wait: WaitChoice::Rest(later), ..joint };
    assert_eq!(next(&rests, &mut lanes([0; 5])), ClaimStep::GiveUp);
    let without = ClaimFacts { connection: ConnectionFact::Without, ..joint };
    for (wait, step) in [
        (WaitChoice::Block { renew: false }, block),
        (WaitChoice::Ask, ClaimStep::AskToWait),
        (WaitChoice::Visit, ClaimStep::VisitBeside),
        (WaitChoice::Rest(later), ClaimStep::Rest(later)),
    ] {
        assert_eq!(next(&ClaimFacts { wait, ..without }, &mut lanes([0; 5])), step);
    }
    let audit = ClaimFacts { audit_at: now, ..without };
    assert_eq!(next(&audit, &mut lanes([0; 5])), ClaimStep::AuditBeside);
}

#[tokio::test]
async fn a_claimer_without_a_connection_opens_one_as_soon_as_there_is_more_to_do() {
    let now = Instant::now();
    let without = ClaimFacts { connection: ConnectionFact::Without, joint: true, ..idle(now) };
    assert_eq!(next(&without, &mut lanes([0, 0, 0, 1, 0])), ClaimStep::Open);
    let alone = ClaimFacts { joint: false, ..without };
    assert_eq!(next(&alone, &mut lanes([0; 5])), ClaimStep::Open);
    let settles = ClaimFacts { must_settle: true, ..without };
    assert_eq!(next(&settles, &mut lanes([0; 5])), ClaimStep::Open);
    let soon = now + Duration::from_millis(2);
    let failed = ClaimFacts { not_before: soon, ..settles };
    assert_eq!(next(&failed, &mut lanes([0; 5])), ClaimStep::Pause(soon));
    let full = ClaimFacts { wanted: 0, ..alone };
    assert_eq!(next(&full, &mut lanes([9; 5])), ClaimStep::Pause(full.audit_at));
    let ends = ClaimFacts { end_wait_at: Some(now), ..full };
    assert_eq!(next(&ends, &mut lanes([9; 5])), ClaimStep::EndWait);
}

#[tokio::test]
async fn on_a_limited_queue_jobs_are_admitted_until_a_claim_has_found_all_of_them() {
    let limited = |known| ClaimFacts { limited: Some(known), ..idle(Instant::now()) };
    let known = Admissions::default();
    let mut full = lanes([9; 5]);
    assert_eq!(next(&limited(known), &mut full), ClaimStep::Admit(8), "lanes do not matter");
    let exhausted = limited(Admissions { exhausted: true, ..known });
    assert_eq!(next(&exhausted, &mut full), ClaimStep::AwaitToken);
    let settles = ClaimFacts { must_settle: true, ..exhausted };
    assert_eq!(next(&settles, &mut full), ClaimStep::Admit(8), "a round trip is made anyway");
    let suspect = limited(Admissions { suspects: true, exhausted: true, woken: false });
    let claim = ClaimStep::Exchange(Some((Lane::Suspect, 1)));
    assert_eq!(next(&suspect, &mut full), claim);
    let busy = ClaimFacts { suspects: false, ..suspect };
    assert_eq!(next(&busy, &mut full), ClaimStep::AwaitToken);
    let no_room = ClaimFacts { wanted: 0, ..limited(known) };
    assert_eq!(next(&no_room, &mut full), ClaimStep::Pause(no_room.audit_at));
    let without = ClaimFacts { connection: ConnectionFact::Without, joint: true, ..limited(known) };
    assert_eq!(next(&without, &mut lanes([0; 5])), ClaimStep::Open, "tokens need a connection");
}
