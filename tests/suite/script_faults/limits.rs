//! Limited queues: their limits, the groups in which jobs wait, and what holds a permit.

use std::time::Duration;

use poolder_core::broker::{
    ClaimConnection, Effect, GroupLimits, Precedence, PreparedJob, QueueLimits, Rate, Settlement,
    SortedUpTo,
};
use poolder_core::policy::decide::{Transition, Wait};
use poolder_core::{Claim, Envelope, Format, Handle, JobId, Lane, Place, Timestamp};

use super::inject::{NOTHING, Tolerated};
use super::jobs::{bury, release, retry, settlement};
use super::{Lab, envelope, id_of, lane_key, partition};

pub(super) const SCRIPTS: &[&str] = &[
    "limits/claim",
    "limits/complete",
    "limits/settle",
    "limits/put",
    "limits/sort",
    "limits/define",
    "limits/close",
    "limits/own",
    "limits/look",
    "limits/repair",
    "limits/on_time",
];

/// The scripts with which operators change a job that waits in its group.
const OPERATIONS: [&str; 4] = ["admin/cancel", "admin/remove", "admin/reschedule", "admin/bury"];

const SECOND: Duration = Duration::from_secs(1);

/// The option of a job of the group `a`, and of one of the group `b`.
const A: &[u8] = b"\x81\xa1g\xa1a";
const B: &[u8] = b"\x81\xa1g\xa1b";
/// Once a job was removed or admitted, no error may hide this from the caller: the leader counts the
/// permits of a group, and claimers look every 5 s.
const DONE: Tolerated<'_> = Tolerated { survived: &["limits"], ..NOTHING };

impl Lab {
    async fn limit(&self, limits: QueueLimits) {
        let given = Precedence::Given;
        self.broker().define_limits(&partition(), limits, given).await.unwrap();
    }

    async fn sort(&self) {
        self.broker().sort(&partition(), &mut SortedUpTo::default()).await.unwrap();
    }

    /// Limits the queue, and lets two jobs of a group and one of another wait, the first of which
    /// has failed once.
    async fn waiting(&mut self) {
        self.reset();
        self.limit(QueueLimits::new().group_concurrency(1)).await;
        let failed = b"\x96\x01\x00\x01\x00\x03\xc0";
        let first = envelope(1, "k", A);
        self.set("XADD", &lane_key(Lane::Normal), &[b"*", b"j", &first, b"c", failed]);
        for (number, group) in [(2, A), (3, B)] {
            let job = envelope(number, "k", group);
            self.set("XADD", &lane_key(Lane::Normal), &[b"*", b"j", &job]);
        }
    }

    /// Claims two jobs, one of each group; a third one waits.
    async fn running(&mut self) -> (Vec<Claim>, ClaimConnection) {
        self.waiting().await;
        self.sort().await;
        let mut connection = self.space.connection("q", "me").await;
        let (exchange, _) = connection.admit(&[], 5, false).await.unwrap();
        let claims = exchange.claimed.unwrap().jobs;
        assert_eq!(claims.len(), 2);
        (claims, connection)
    }
}

async fn limits(lab: &mut Lab) {
    lab.reset();
    for (case, most) in [("new", 1), ("changed", 2)] {
        let fault = lab.snapshot();
        lab.limit(QueueLimits::new().group_concurrency(most)).await;
        // The number of commands may be raised twice.
        let but = Tolerated { repeated: &["meta"], steps: true, ..NOTHING };
        lab.inject_but("limits/define", case, fault, but);
    }
    lab.running().await;
    lab.limit(QueueLimits::new().group_concurrency(2)).await;
    for own in [GroupLimits::new().concurrency(1).weight(2), GroupLimits::new()] {
        let fault = lab.snapshot();
        lab.broker().limit_group(&partition(), "a", own).await.unwrap();
        let but = Tolerated { steps: true, ..DONE };
        lab.inject_but("limits/own", &format!("{own:?}"), fault, but);
    }
    // One group has a job that waits, the other one none.
    for group in ["a", "b"] {
        lab.running().await;
        lab.broker().limit_group(&partition(), group, GroupLimits::new().weight(2)).await.unwrap();
        for pause in [true, false] {
            let fault = lab.snapshot();
            match pause {
                true => lab.broker().pause_group(&partition(), group).await.unwrap(),
                false => lab.broker().resume_group(&partition(), group).await.unwrap(),
            };
            let but = Tolerated { steps: true, ..DONE };
            lab.inject_but("limits/own", &format!("{group} is paused: {pause}"), fault, but);
        }
    }
    lab.running().await;
    let fault = lab.snapshot();
    lab.limit(QueueLimits::new().group_concurrency(2)).await;
    let full = lab.snapshot();
    drop(fault);
    lab.limit(QueueLimits::new().group_concurrency(3)).await;
    lab.inject_but("limits/look", "raised", full, DONE);
    for waits in [true, false] {
        lab.running().await;
        if !waits {
            lab.reset();
            lab.limit(QueueLimits::new()).await;
        }
        let fault = lab.snapshot();
        lab.broker().end_limits(&partition()).await.unwrap();
        // The number of commands may be raised twice, and tokens may come twice.
        let repeated = &["meta", "limits:wake"];
        let but = Tolerated { repeated, survived: &["limits"], steps: true, ..NOTHING };
        lab.inject_but("limits/close", &format!("waits: {waits}"), fault, but);
    }
}

async fn jobs(lab: &mut Lab) {
    lab.waiting().await;
    let fault = lab.snapshot();
    lab.broker().sort(&partition(), &mut SortedUpTo::default()).await.unwrap();
    // The last call, that of the lane low, takes nothing.
    lab.inject_but("limits/sort", "an empty lane", fault, DONE);
    lab.waiting().await;
    let job = envelope(4, "k", B);
    lab.set("XADD", &lane_key(Lane::Low), &[b"*", b"j", &job]);
    let fault = lab.snapshot();
    lab.sort().await;
    // A number without a job is passed over.
    let but = Tolerated { repeated: &["limits:groups", "limits:jobs"], steps: true, ..DONE };
    lab.inject_but("limits/sort", "one job", fault, but);

    lab.waiting().await;
    lab.sort().await;
    let mut connection = lab.space.connection("q", "me").await;
    let fault = lab.snapshot();
    connection.admit(&[], 5, false).await.unwrap();
    let but = Tolerated { steps: true, ..DONE };
    lab.inject_but("limits/claim", "two groups", fault, but);
}

/// Claims and ends of jobs whose groups and queue have rates.
async fn rates(lab: &mut Lab) {
    let but = || Tolerated { steps: true, ..DONE };
    let slow = Rate::per(2, 3_600 * SECOND).burst(2);
    let limits = QueueLimits::new().rate(slow.bucket(3)).group_rate(slow.burst(1));
    lab.waiting().await;
    lab.limit(limits).await;
    lab.sort().await;
    let mut connection = lab.space.connection("q", "me").await;
    let fault = lab.snapshot();
    connection.admit(&[], 5, false).await.unwrap();
    lab.inject_but("limits/claim", "rates", fault, but());

    let (claims, _connection) = lab.running().await;
    lab.limit(limits).await;
    let fault = lab.snapshot();
    let charged = settlement(&claims[0], Transition::Complete).with_effect(Effect::Charge(9));
    lab.settle(&[charged]).await;
    lab.inject_but("limits/settle", "a charge", fault, DONE);

    lab.waiting().await;
    lab.limit(QueueLimits::new().group_rate(Rate::per(1_000, SECOND).burst(1))).await;
    lab.sort().await;
    let mut connection = lab.space.connection("q", "me").await;
    connection.admit(&[], 5, false).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let fault = lab.snapshot();
    lab.broker().start_groups_on_time(&partition()).await.unwrap();
    lab.inject_but("limits/on_time", "a group is due", fault, but());
}

async fn puts(lab: &mut Lab) {
    lab.waiting().await;
    lab.sort().await;
    let fault = lab.snapshot();
    let build = Envelope::build(JobId::generate(), "k", 1, None, Format::Json, |_| Ok(()));
    let job = build.unwrap().in_group("b").unwrap();
    lab.broker().enqueue(&PreparedJob::new(partition(), job)).await.unwrap();
    // Where the limits cannot be read the job goes through its lane.
    let survived = &["limits", "ready:normal"];
    let repeated = &["limits:groups", "limits:jobs"];
    let but = Tolerated { survived, repeated, steps: true, ..NOTHING };
    lab.inject_but("limits/put", "one job", fault, but);
}

/// Changes of a job that waits in its group, or in the lane front.
async fn operations(lab: &mut Lab) {
    let queue = || partition().queue;
    // A record that counts a job too many is mended by the next claim.
    let but = Tolerated { survived: &["limits", "cancelled", "sent", "unique"], ..NOTHING };
    let cases = OPERATIONS.iter().flat_map(|script| [(*script, false), (*script, true)]);
    for (script, admitted) in cases {
        let id = if admitted {
            // It was handed back, and holds its permit.
            let (claims, _connection) = lab.running().await;
            let claim = claims.iter().find(|claim| claim.job_id() == id_of(1)).unwrap();
            lab.settle(&[settlement(claim, release(claim))]).await;
            id_of(1)
        } else {
            lab.waiting().await;
            lab.sort().await;
            id_of(2)
        };
        let found = lab.broker().find(&Handle::new(queue(), id)).await.unwrap().unwrap();
        let in_front = matches!(found.handle.place, Some(Place::Entry(Lane::Front, _)));
        let grouped = matches!(found.handle.place, Some(Place::Group(..)));
        assert_eq!((in_front, grouped), (admitted, !admitted), "{found:?}");
        let fault = lab.snapshot();
        match script {
            "admin/cancel" => drop(lab.broker().cancel(&found.handle).await.unwrap()),
            "admin/remove" => lab.broker().delete(&found.handle).await.unwrap(),
            "admin/bury" => lab.broker().bury(&found.handle, "no").await.unwrap(),
            _ => {
                let at = Timestamp::from_millis(1 << 42);
                lab.broker().reschedule(&found.handle, Some(at)).await.unwrap();
            }
        }
        lab.inject_but(script, &format!("admitted: {admitted}"), fault, but);
    }
}

/// Puts the job back before the others of its group, and holds the group.
fn hold(claim: &Claim) -> Transition {
    let (delay, counters) = (10 * SECOND, claim.counters.clone());
    Transition::Later { delay, counters, why: Wait::HoldGroup }
}

async fn ends(lab: &mut Lab) {
    let (claims, connection) = lab.running().await;
    let history = connection.history();
    let complete = |claim: &Claim| {
        let owner = "me".into();
        Settlement::new(claim.clone(), owner, history.clone(), Transition::Complete)
    };
    let all: Vec<_> = claims.iter().map(complete).collect();
    let fault = lab.snapshot();
    lab.settle(&all).await;
    let but = Tolerated { survived: &["limits"], ..NOTHING };
    lab.inject_but("limits/complete", "two groups", fault, but);
    for (case, transition) in [
        ("retry", retry as fn(&Claim) -> Transition),
        ("release", release),
        ("burial", bury),
        ("hold", hold),
    ] {
        for cancelled in [false, true] {
            let (claims, _connection) = lab.running().await;
            let claim = claims.iter().find(|claim| claim.job_id() == id_of(1)).unwrap();
            if cancelled {
                lab.set("ZADD", "cancelled", &[b"1", id_of(1).as_bytes()]);
            }
            let fault = lab.snapshot();
            lab.settle(&[settlement(claim, transition(claim))]).await;
            // A number without a job is passed over.
            let repeated: &[&str] =
                if case == "hold" { &["limits:groups", "limits:jobs"] } else { &[] };
            let survived = &["limits", "cancelled"];
            let but = Tolerated { survived, repeated, ..NOTHING };
            lab.inject_but("limits/settle", &format!("{case}, {cancelled}"), fault, but);
        }
    }
    lab.running().await;
    let lane = lane_key(Lane::Front);
    let entries: Vec<crate::harness::RawEntry> = {
        let key = lab.space.key("q", &lane);
        lab.ask(redis::cmd("XRANGE").arg(key).arg("-").arg("+"))
    };
    for (entry, _) in &entries {
        lab.set("XDEL", &lane, &[entry.as_bytes()]);
        let key = lab.space.key("q", &lane);
        lab.ask::<u64>(redis::cmd("XACK").arg(key).arg("workers").arg(entry));
    }
    let mut suspected = Default::default();
    lab.broker().recount_groups(&partition(), &mut suspected).await.unwrap();
    let fault = lab.snapshot();
    lab.broker().recount_groups(&partition(), &mut suspected).await.unwrap();
    lab.inject_but("limits/repair", "lost permits", fault, DONE);
}

#[tokio::test]
async fn an_error_in_a_script_of_a_limited_queue_is_mended() {
    let mut lab = Lab::start();
    limits(&mut lab).await;
    jobs(&mut lab).await;
    rates(&mut lab).await;
    puts(&mut lab).await;
    ends(&mut lab).await;
    lab.finish(SCRIPTS);
}

#[tokio::test]
async fn an_error_in_a_change_of_a_job_in_a_group_is_mended() {
    let mut lab = Lab::start();
    operations(&mut lab).await;
    lab.finish(&OPERATIONS);
}
