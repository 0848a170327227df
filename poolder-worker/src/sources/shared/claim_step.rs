//! Decides what a claimer does next: settle, claim, wait, or repair its connection. Pure: it reads
//! no clock and asks no server.

use poolder_core::Lane;
use tokio::time::Instant;

use super::admissions::Admissions;
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
    /// Settle the jobs that have ended and claim up to this many that may start, of a limited queue,
    /// in one round trip.
    Admit(usize),
    /// Begin to wait until a job of a limited queue may start.
    AwaitToken,
    /// Begin to wait for a job of any lane, or of any but the suspect lane.
    Block {
        /// True to include the suspect lane.
        suspects: bool,
        /// True to renew the wait permit in the same round trip.
        renew: bool,
    },
    /// Begin to wait together with other pools of the node.
    BlockJointly {
        /// True to include the suspect lane.
        suspects: bool,
        /// True to renew the wait permit.
        renew: bool,
    },
    /// Give the connection up, since the claimer rests.
    GiveUp,
    /// Look over another connection whether the server holds entries for this consumer.
    AuditBeside,
    /// Look for jobs over another connection without blocking, and whether a wait permit is free.
    VisitBeside,
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
    /// The last findings of claims of a limited queue; `None` for one without limits.
    pub(super) limited: Option<Admissions>,
    /// The choice for the case that all lanes are empty.
    pub(super) wait: WaitChoice,
    /// True when the claimer is idle and needs no connection of its own.
    pub(super) joint: bool,
    /// When to give up the wait permit or to wake others, while there is no room.
    pub(super) end_wait_at: Option<Instant>,
}

/// The state of the claimer's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionFact {
    Closed,
    Open,
    /// There is none, and none is needed while the claimer is idle.
    Without,
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
        ConnectionFact::Without => without_connection(facts, lanes, may_send),
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
                    false => without_room(facts, may_send),
                };
            }
            if let Some(known) = facts.limited {
                return match known {
                    Admissions { suspects: true, .. } if facts.suspects => {
                        ClaimStep::Exchange(Some((Lane::Suspect, 1)))
                    }
                    Admissions { exhausted: true, .. } if !facts.must_settle => {
                        ClaimStep::AwaitToken
                    }
                    _ => ClaimStep::Admit(facts.wanted),
                };
            }
            match lanes.pick(facts.suspects) {
                None if !facts.must_settle => match facts.wait {
                    WaitChoice::Block { renew } if facts.joint => {
                        ClaimStep::BlockJointly { suspects: facts.suspects, renew }
                    }
                    WaitChoice::Rest(_) if facts.joint => ClaimStep::GiveUp,
                    WaitChoice::Block { .. } if facts.look_first => ClaimStep::Exchange(None),
                    WaitChoice::Block { renew } => {
                        ClaimStep::Block { suspects: facts.suspects, renew }
                    }
                    WaitChoice::Ask => ClaimStep::AskToWait,
                    WaitChoice::Visit => ClaimStep::Visit,
                    WaitChoice::Rest(until) => ClaimStep::Rest(rest_until(facts, until)),
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

/// Returns the next step of a claimer that has given its connection up. It opens one as soon as there
/// is more to do than to wait.
fn without_connection(facts: &ClaimFacts, lanes: &mut Lanes, may_send: bool) -> ClaimStep {
    if !may_send {
        return ClaimStep::Pause(facts.not_before);
    }
    if facts.must_settle || facts.limited.is_some() && facts.wanted > 0 {
        return ClaimStep::Open;
    }
    if facts.audit_at <= facts.now {
        return ClaimStep::AuditBeside;
    }
    if facts.wanted == 0 {
        return without_room(facts, may_send);
    }
    match facts.wait {
        _ if !facts.joint || lanes.pick(facts.suspects).is_some() => ClaimStep::Open,
        WaitChoice::Block { renew } => ClaimStep::BlockJointly { suspects: facts.suspects, renew },
        WaitChoice::Ask => ClaimStep::AskToWait,
        WaitChoice::Visit => ClaimStep::VisitBeside,
        WaitChoice::Rest(until) => ClaimStep::Rest(rest_until(facts, until)),
    }
}

/// Returns the next step of a claimer that has no room and nothing to settle.
fn without_room(facts: &ClaimFacts, may_send: bool) -> ClaimStep {
    match facts.end_wait_at {
        Some(at) if at <= facts.now && may_send => ClaimStep::EndWait,
        end_at => {
            let adopt_at = facts.adopt_at.unwrap_or(facts.audit_at);
            let until = facts.retry_at.unwrap_or(adopt_at).min(adopt_at);
            let end_at = end_at.map(|at| at.max(facts.not_before));
            ClaimStep::Pause(end_at.unwrap_or(until).min(until))
        }
    }
}

fn rest_until(facts: &ClaimFacts, until: Instant) -> Instant {
    let adopt_at = facts.adopt_at.unwrap_or(facts.audit_at);
    until.min(adopt_at).min(facts.retry_at.unwrap_or(until))
}

#[cfg(test)]
mod tests;
