//! Decides what a claimer does next: settle, claim, wait, or repair its connection. Pure: it reads
//! no clock and asks no server.

use poolder_core::Lane;
use tokio::time::Instant;

use super::lanes::Lanes;
use super::wait_permit::WaitChoice;

/// The next step of a claimer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClaimStep {
    /// Wait for an event of a slot or of the node, or until this time.
    Pause(Instant),
    /// Open the connection.
    Open,
    /// Close the connection, since the server has another history by now.
    Close,
    /// Look for entries that the server holds for this consumer and that are missing here.
    Adopt,
    /// Settle the jobs that have ended and claim up to this many of this lane, in one round trip.
    Exchange(Option<(Lane, usize)>),
    /// Begin to wait for a job of any lane, or of any but the suspect lane.
    Block {
        /// True to include the suspect lane.
        suspects: bool,
        /// True to renew the wait permit in the same round trip.
        renew: bool,
    },
    /// Ask for a wait permit.
    AskToWait,
    /// Look for jobs without blocking, and whether a wait permit is free.
    Visit,
    /// Rest until this time, or until another node wakes this one.
    Rest(Instant),
    /// Give the wait permit up, since there is no room for a job, or wake others for the jobs that
    /// are left.
    EndWait,
    /// Settle over another connection, while this one waits for a job.
    SettleBeside,
    /// Go on waiting for a job.
    Listen,
}

/// The facts that decide about the next step.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClaimFacts {
    pub(super) now: Instant,
    pub(super) connection: ConnectionFact,
    /// True while the claimer may claim new jobs.
    pub(super) may_claim: bool,
    /// True when jobs have ended whose settlement is not answered.
    pub(super) must_settle: bool,
    /// The time before which no request is sent after a failure.
    pub(super) not_before: Instant,
    /// True when the server has another history than the connection saw.
    pub(super) outdated: bool,
    /// When a settlement is tried again whose call raised an error; `None` when there is none.
    pub(super) retry_at: Option<Instant>,
    /// When to look for claims whose reply was lost, if at all.
    pub(super) adopt_at: Option<Instant>,
    pub(super) audit_at: Instant,
    /// How many jobs to claim.
    pub(super) wanted: usize,
    /// True when a suspect could start at once.
    pub(super) suspects: bool,
    /// True when the depths of the lanes must be known before a wait, which claims one job of each
    /// lane whatever its size.
    pub(super) look_first: bool,
    /// The choice for the case that all lanes are empty.
    pub(super) wait: WaitChoice,
    /// When to give up the wait permit or to wake others, while there is no room.
    pub(super) end_wait_at: Option<Instant>,
}

/// The state of the claimer's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionFact {
    Closed,
    Open,
    Waiting,
}

/// Returns the next step of a claimer; `lanes` picks the lane of a claim.
pub(super) fn next(facts: &ClaimFacts, lanes: &mut Lanes) -> ClaimStep {
    let may_send = facts.now >= facts.not_before;
    match facts.connection {
        ConnectionFact::Closed if may_send && (facts.may_claim || facts.must_settle) => {
            ClaimStep::Open
        }
        ConnectionFact::Closed if may_send => {
            ClaimStep::Pause(facts.retry_at.unwrap_or(facts.not_before))
        }
        ConnectionFact::Closed => ClaimStep::Pause(facts.not_before),
        ConnectionFact::Waiting if facts.must_settle && may_send => ClaimStep::SettleBeside,
        ConnectionFact::Waiting => ClaimStep::Listen,
        // Claims over this connection would carry the old history, so that each of them would need
        // a careful settlement, one by one, as long as the connection is used.
        ConnectionFact::Open if facts.outdated => ClaimStep::Close,
        ConnectionFact::Open => {
            let adopt = facts.adopt_at.is_some_and(|at| at <= facts.now);
            if adopt || facts.audit_at <= facts.now {
                return ClaimStep::Adopt;
            }
            if facts.must_settle && !may_send {
                return ClaimStep::Pause(facts.not_before);
            }
            if facts.wanted == 0 {
                return match facts.must_settle {
                    true => ClaimStep::Exchange(None),
                    false => match facts.end_wait_at {
                        Some(at) if at <= facts.now && may_send => ClaimStep::EndWait,
                        end_at => {
                            let adopt_at = facts.adopt_at.unwrap_or(facts.audit_at);
                            let until = facts.retry_at.unwrap_or(adopt_at).min(adopt_at);
                            let end_at = end_at.map(|at| at.max(facts.not_before));
                            ClaimStep::Pause(end_at.unwrap_or(until).min(until))
                        }
                    },
                };
            }
            match lanes.pick(facts.suspects) {
                None if !facts.must_settle => match facts.wait {
                    WaitChoice::Block { .. } if facts.look_first => ClaimStep::Exchange(None),
                    WaitChoice::Block { renew } => {
                        ClaimStep::Block { suspects: facts.suspects, renew }
                    }
                    WaitChoice::Ask => ClaimStep::AskToWait,
                    WaitChoice::Visit => ClaimStep::Visit,
                    WaitChoice::Rest(until) => {
                        let adopt_at = facts.adopt_at.unwrap_or(facts.audit_at);
                        ClaimStep::Rest(until.min(adopt_at).min(facts.retry_at.unwrap_or(until)))
                    }
                },
                // A round trip is made anyway, so it also claims where jobs were last.
                picked => {
                    let lane = picked.unwrap_or_else(|| lanes.likely());
                    let count = if lane.is_suspect() { 1 } else { facts.wanted };
                    ClaimStep::Exchange(Some((lane, count)))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
            wait: WaitChoice::Block { renew: false },
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
}
