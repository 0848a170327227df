//! Storing, settling, completing and promoting jobs.

use std::time::Duration;

use poolder_core::broker::{
    ClaimConnection, DeadLimits, Effect, PreparedJob, Settled, Settlement, When,
};
use poolder_core::policy::decide::{Return, Transition, Wait};
use poolder_core::{Claim, Envelope, Lane};

use super::inject::{NOTHING, Tolerated};
use super::{Lab, envelope, failed, id_of, lane_key, node, partition};

pub(super) const SCRIPTS: &[&str] = &[
    "jobs/enqueue",
    "jobs/complete",
    "jobs/settle",
    "jobs/ack_missing",
    "jobs/suspect_begin",
    "jobs/claim",
    "jobs/wait_begin",
    "jobs/wait_end",
    "maintenance/promote",
    "maintenance/consumer_remove",
];

const HOUR: Duration = Duration::from_secs(3600);
/// The option of a job whose completion record is kept for an hour.
const KEPT: &[u8] = b"\x81\xa1e\xce\x00\x36\xee\x80";
/// The option of a job of the schedule `nightly`, which allows one job at a time.
const NIGHTLY: &[u8] = b"\x81\xa1s\x83\xa1n\xa7nightly\xa1t\x01\xa1a\xc3";
const NO_OPTIONS: &[u8] = b"\x80";
/// A call that does several things, each of which is whole.
const STEPS: Tolerated<'_> = Tolerated { steps: true, ..NOTHING };
const BATCH: &str = "poolder.batch/rows";

impl Lab {
    pub(super) async fn enqueue(&self, number: u8, when: When, idempotent: Option<Duration>) {
        let envelope = Envelope::parse(envelope(number, "k", NO_OPTIONS)).unwrap();
        let mut new = PreparedJob::new(partition(), envelope);
        (new.when, new.idempotent) = (when, idempotent);
        self.broker().enqueue(&new).await.unwrap();
    }

    /// Adds jobs to a lane and claims them.
    pub(super) async fn claim(
        &mut self,
        lane: Lane,
        jobs: &[Vec<u8>],
    ) -> (Vec<Claim>, ClaimConnection) {
        for job in jobs {
            self.set("XADD", &lane_key(lane), &[b"*", b"j", job]);
        }
        self.take(lane, jobs.len()).await
    }

    /// Claims this many jobs, which are in a lane.
    pub(super) async fn take(&mut self, lane: Lane, count: usize) -> (Vec<Claim>, ClaimConnection) {
        let mut connection = self.space.connection("q", "me").await;
        let claimed = connection.exchange(&[], Some((lane, count)), true).await.unwrap();
        let claimed = claimed.claimed.unwrap().jobs;
        assert_eq!(claimed.len(), count);
        (claimed, connection)
    }

    pub(super) async fn claim_one(&mut self, job: &[u8]) -> Claim {
        self.claim(Lane::Normal, &[job.to_vec()]).await.0.remove(0)
    }

    /// Adds a batch job with a list of three entries, and claims it.
    async fn claim_batch(&mut self) -> Claim {
        let id = id_of(1);
        let list = format!("batch:sealed:{id}");
        self.set("RPUSH", &list, &[b"entry 1", b"entry 2", b"entry 3"]);
        self.set("HSET", "batch:index", &[id.as_bytes(), b"1 3 30 1 1 rows:"]);
        self.set("HSET", "batch:about:rows", &[b"waiting", b"10"]);
        let mut job = envelope(1, BATCH, NO_OPTIONS);
        job.pop();
        job.extend(b"\x85\xa5group\xa0\xa7entries\x03\xa5bytes\x1e\xa5since\x01\xa6sealed\x01");
        self.claim_one(&job).await
    }

    pub(super) async fn settle(&self, settlements: &[Settlement]) {
        let limits = DeadLimits { count: 2, ..DeadLimits::default() };
        self.settle_within(limits, settlements).await;
    }

    pub(super) async fn settle_within(&self, limits: DeadLimits, settlements: &[Settlement]) {
        let settled = self.broker().settle(&partition(), limits, settlements).await;
        assert!(settled.iter().all(|one| matches!(one, Settled::Applied)), "{settled:?}");
    }

    /// Settles a claim with an error at each command.
    async fn settled(&mut self, case: &str, settlement: Settlement) {
        // A cancellation of a job that is gone ends by itself.
        let but = Tolerated { survived: &["cancelled"], ..NOTHING };
        self.settled_but(case, but, settlement).await;
    }

    async fn settled_but(&mut self, case: &str, but: Tolerated<'_>, settlement: Settlement) {
        let fault = self.snapshot();
        self.settle(&[settlement]).await;
        self.inject_but("jobs/settle", case, fault, but);
    }
}

pub(super) fn settlement(claim: &Claim, transition: Transition) -> Settlement {
    Settlement::new(claim.clone(), node(), None, transition)
}

pub(super) fn retry(claim: &Claim) -> Transition {
    Transition::Later { delay: HOUR, counters: failed(&claim.counters), why: Wait::Retry }
}

pub(super) fn release(claim: &Claim) -> Transition {
    let counters = claim.counters.clone();
    Transition::Ready { lane: Lane::Front, counters, why: Return::Release }
}

pub(super) fn bury(claim: &Claim) -> Transition {
    Transition::Bury { counters: failed(&claim.counters) }
}

/// Checks the settlements of a job that is alone.
async fn settlements(lab: &mut Lab) {
    for options in [NO_OPTIONS, KEPT] {
        for (case, transition) in
            [("retry", retry as fn(&Claim) -> Transition), ("release", release), ("burial", bury)]
        {
            for cancelled in [false, true] {
                lab.reset();
                let claim = lab.claim_one(&envelope(1, "k", options)).await;
                if cancelled {
                    lab.set("ZADD", "cancelled", &[b"1", id_of(1).as_bytes()]);
                }
                let case = format!("{case}, {options:?}, cancelled: {cancelled}");
                lab.settled(&case, settlement(&claim, transition(&claim))).await;
            }
        }
        lab.reset();
        let claim = lab.claim_one(&envelope(1, "k", options)).await;
        lab.settled("result", settlement(&claim, Transition::CompleteWith(b"7".to_vec()))).await;
    }
    // A job of the same id waits.
    lab.reset();
    let claim = lab.claim_one(&envelope(1, "k", NO_OPTIONS)).await;
    lab.enqueue(1, When::In(HOUR * 2), None).await;
    lab.settled("retry beside a job of its id", settlement(&claim, retry(&claim))).await;
    // The dead are full: the oldest one is dropped, with its list.
    lab.reset();
    for number in [1, 2, 3] {
        let claim = lab.claim_one(&envelope(number, "k", NO_OPTIONS)).await;
        if number == 1 {
            lab.set("HSET", "batch:index", &[id_of(1).as_bytes(), b"0 1 5 1 1 rows:"]);
            lab.set("RPUSH", &format!("batch:sealed:{}", id_of(1)), &[b"entry"]);
        }
        if number < 3 {
            lab.settle(&[settlement(&claim, bury(&claim))]).await;
            // Otherwise two jobs may die in the same ms.
            lab.set("ZADD", "dead", &[&[b'0' + number], id_of(number).as_bytes()]);
        } else {
            lab.settled("burial among many", settlement(&claim, bury(&claim))).await;
        }
    }
    lab.reset();
    let jobs = [1, 2, 3].map(|number| envelope(number, "k", KEPT));
    let (claims, _connection) = lab.claim(Lane::Normal, &jobs).await;
    let ends = [retry(&claims[0]), release(&claims[1]), bury(&claims[2])];
    let fault = lab.snapshot();
    let all: Vec<_> = claims.iter().zip(ends).map(|(claim, end)| settlement(claim, end)).collect();
    lab.settle(&all).await;
    lab.inject_but("jobs/settle", "three in one call", fault, STEPS);
}

/// Checks enqueues and settlements of a job beside others of its id.
async fn namesakes(lab: &mut Lab) {
    // A time without a record is dropped with the oldest dead. The dead namesake has another id by
    // then, also if the enqueue fails. A receipt may be kept for 1 ms.
    let but =
        Tolerated { survived: &["dead", "sent:"], repeated: &["sent:"], steps: true, ..NOTHING };
    for (case, when, idempotent) in [
        ("now", When::Now, None),
        ("later", When::In(HOUR), None),
        ("now with a receipt", When::Now, Some(HOUR)),
    ] {
        lab.reset();
        for record in ["result", "progress"] {
            lab.set("SET", &format!("{record}:{}", id_of(1)), &[b"old"]);
        }
        for number in 0..2 {
            lab.enqueue(1, When::Now, None).await;
            let claim = lab.take(Lane::Normal, 1).await.0.remove(0);
            lab.settle(&[settlement(&claim, bury(&claim))]).await;
            if number == 0 {
                lab.enqueue(1, When::Now, None).await;
                let claim = lab.take(Lane::Normal, 1).await.0.remove(0);
                lab.settle(&[settlement(&claim, Transition::Complete)]).await;
            }
        }
        let fault = lab.snapshot();
        lab.enqueue(1, when, idempotent).await;
        lab.inject_but("jobs/enqueue", &format!("beside dead namesakes, {case}"), fault, but);
        for again in [None, Some(HOUR)] {
            let fault = lab.snapshot();
            lab.enqueue(1, when, again.or(idempotent)).await;
            let case = format!("{case}, again with {again:?}");
            lab.inject_but("jobs/enqueue", &case, fault, but);
        }
    }
    lab.reset();
    let job = envelope(1, "k", KEPT);
    let (claims, _connection) = lab.claim(Lane::Normal, &[job.clone(), job]).await;
    lab.settle(&[settlement(&claims[0], bury(&claims[0]))]).await;
    lab.settled("burial beside a dead one", settlement(&claims[1], bury(&claims[1]))).await;
    for cancelled in [false, true] {
        lab.reset();
        lab.enqueue(1, When::Now, Some(HOUR)).await;
        let claim = lab.take(Lane::Normal, 1).await.0.remove(0);
        let time: &[u8] = if cancelled { b"9999999999999" } else { b"1" };
        lab.set("ZADD", "cancelled", &[time, id_of(1).as_bytes()]);
        let case = format!("retry of a name, cancelled: {cancelled}");
        lab.settled(&case, settlement(&claim, retry(&claim))).await;
    }
}

#[tokio::test]
async fn an_error_in_a_script_leaves_each_job_in_a_place() {
    let mut lab = Lab::start();
    for (case, when, idempotent) in [
        ("later", When::In(HOUR), None),
        ("later with a receipt", When::In(HOUR), Some(HOUR)),
        ("now with a receipt", When::Now, Some(HOUR)),
    ] {
        lab.reset();
        let fault = lab.snapshot();
        lab.enqueue(1, when, idempotent).await;
        // A repeated call that finds the job writes a receipt for 1 ms.
        let but = Tolerated { repeated: &["sent:"], ..NOTHING };
        let but = if case == "later" { but } else { NOTHING };
        lab.inject_but("jobs/enqueue", case, fault, but);
    }
    namesakes(&mut lab).await;
    settlements(&mut lab).await;

    for older in [false, true] {
        lab.reset();
        let first = u8::from(!older);
        let jobs: Vec<_> = (first..3).map(|number| envelope(number, "k", NO_OPTIONS)).collect();
        let (mut claims, connection) = lab.claim(Lane::Normal, &jobs).await;
        if older {
            claims.remove(0);
        }
        let history = connection.history();
        let complete =
            |claim: Claim| Settlement::new(claim, node(), history.clone(), Transition::Complete);
        let all: Vec<_> = claims.into_iter().map(complete).collect();
        let fault = lab.snapshot();
        lab.settle(&all).await;
        lab.inject("jobs/complete", "two jobs", fault);
    }

    lab.reset();
    let claim = lab.claim_one(&envelope(1, "k", NO_OPTIONS)).await;
    lab.set("XDEL", &lane_key(Lane::Normal), &[claim.entry.as_bytes()]);
    let fault = lab.snapshot();
    lab.broker().held_by(&partition(), Lane::Normal, "me", None).await.unwrap();
    lab.inject("jobs/ack_missing", "one claim", fault);

    lab.reset();
    lab.enqueue(1, When::Now, None).await;
    lab.enqueue(2, When::Now, None).await;
    let mut connection = lab.space.connection("q", "me").await;
    let fault = lab.snapshot();
    // The first claim of a connection is measured.
    let claimed = connection.exchange(&[], Some((Lane::Normal, 2)), false).await.unwrap().claimed;
    assert_eq!(claimed.unwrap().jobs.len(), 2);
    // The next claim gets the rest.
    let but = Tolerated { survived: &["ready:normal"], ..NOTHING };
    lab.inject_but("jobs/claim", "two jobs", fault, but);

    lab.reset();
    let claim = lab.claim_one(&envelope(1, "k", NO_OPTIONS)).await;
    lab.settle(&[settlement(&claim, retry(&claim))]).await;
    lab.enqueue(2, When::In(HOUR), None).await;
    lab.set("ZADD", "due", &[b"5", b"remnant"]);
    let fault = lab.snapshot();
    let later = poolder::Timestamp::from_millis(i64::from(u32::MAX) * 1000);
    lab.broker().promote_as_of(&partition(), Some(later)).await.unwrap();
    // The next promotion removes a time without a body.
    let but = Tolerated { survived: &["due"], steps: true, ..NOTHING };
    lab.inject_but("maintenance/promote", "a new job and a retried one", fault, but);

    lab.reset();
    let claim = lab.claim_one(&envelope(1, "k", NO_OPTIONS)).await;
    lab.settle(&[settlement(&claim, Transition::Complete)]).await;
    let fault = lab.snapshot();
    lab.broker().remove_consumer(&partition(), Lane::Normal, "me").await.unwrap();
    lab.inject("maintenance/consumer_remove", "an idle consumer", fault);

    lab.reset();
    let (claims, _connection) = lab.claim(Lane::Suspect, &[envelope(1, "k", NO_OPTIONS)]).await;
    let fault = lab.snapshot();
    assert!(lab.broker().begin_suspect(&partition(), "me", &claims[0].entry).await.unwrap());
    lab.inject("jobs/suspect_begin", "one suspect", fault);
    lab.settle(&[settlement(&claims[0], Transition::Complete)]).await;
    let fault = lab.snapshot();
    lab.broker().remove_consumer(&partition(), Lane::Suspect, "me").await.unwrap();
    lab.inject("maintenance/consumer_remove", "of the suspect lane", fault);
    permits(&mut lab).await;
    lab.finish(SCRIPTS);
}

/// Checks the permits of nodes that wait for jobs.
async fn permits(lab: &mut Lab) {
    lab.reset();
    lab.enqueue(1, When::Now, None).await;
    lab.set("ZADD", "waiting", &[b"1", b"an old one"]);
    for (case, node) in [("a free permit", "me"), ("its own permit", "me"), ("no permit", "other")]
    {
        let fault = lab.snapshot();
        let answer = lab.broker().begin_wait(&partition(), node, 1, ["dead"]).await.unwrap();
        assert_eq!((answer.permit, answer.depths), (node == "me", [0, 0, 0, 1, 0]));
        // The entry of the node stands when the depths cannot be read.
        lab.inject_but("jobs/wait_begin", case, fault, STEPS);
    }
    let fault = lab.snapshot();
    assert_eq!(lab.broker().end_wait(&partition(), "me", 1).await.unwrap(), 0);
    // A node that cannot be told counts as told, and the next one goes on resting.
    let but = Tolerated { survived: &["resting"], ..STEPS };
    lab.inject_but("jobs/wait_end", "a node rests that does not hear", fault, but);
}

#[tokio::test]
async fn an_error_in_the_settlement_of_a_batch_or_a_schedule_is_mended_as_well() {
    let mut lab = Lab::start();
    for (case, transition) in [
        ("completion", (|_| Transition::Complete) as fn(&Claim) -> Transition),
        ("cancel", |_| Transition::Cancel("why".into())),
        ("burial", bury),
        ("retry", retry),
    ] {
        for cancelled in [false, true] {
            lab.reset();
            let claim = lab.claim_batch().await;
            if cancelled {
                lab.set("ZADD", "cancelled", &[b"1", id_of(1).as_bytes()]);
            }
            let case = format!("{case} of a batch, cancelled: {cancelled}");
            // A burial first stops counting the entries of the list.
            let but = Tolerated { survived: &["cancelled"], ..STEPS };
            lab.settled_but(&case, but, settlement(&claim, transition(&claim))).await;
        }
    }
    lab.reset();
    let claim = lab.claim_batch().await;
    for (part, entry) in [("kept", b"entry 1".to_vec()), ("buried", b"entry 2".to_vec())] {
        lab.broker().set_aside(&partition(), id_of(1), part, &[entry]).await.unwrap();
    }
    let failure = poolder::Failure::new(poolder::Cause::Error, "no");
    let bury_part = Effect::BuryEntries { part: "buried".into(), id: id_of(9), failure };
    let parts = settlement(&claim, retry(&claim))
        .with_effect(bury_part)
        .with_effect(Effect::KeepEntries("kept".into()));
    lab.settled_but("parts of a batch", STEPS, parts).await;

    for (queued, cancelled) in [(false, false), (true, false), (true, true)] {
        lab.reset();
        let claim = lab.claim_one(&envelope(1, "k", NIGHTLY)).await;
        if cancelled {
            lab.set("ZADD", "cancelled", &[b"1", id_of(2).as_bytes()]);
        }
        let holder = [id_of(1).as_bytes().as_slice(), b"\x03", claim.entry.as_bytes()].concat();
        lab.set("HSET", "schedules:running", &[b"nightly", &holder]);
        if queued {
            let next = [b"\x03".as_slice(), &envelope(2, "k", NIGHTLY)].concat();
            lab.set("HSET", "schedules:queued", &[b"nightly", &next]);
        }
        let case =
            format!("completion of a schedule's job, queued: {queued}, cancelled: {cancelled}");
        // Where the end cannot be noted, the next tick finds that the job has ended.
        let but = Tolerated { survived: &["schedules:", "ready:"], ..NOTHING };
        lab.settled_but(&case, but, settlement(&claim, Transition::Complete)).await;
    }
    lab.finish(&["jobs/settle"]);
}
