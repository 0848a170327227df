//! Enqueues, settlements and commands of unique jobs.

use std::time::Duration;

use poolder::{OnDuplicate, Unique};
use poolder_core::broker::{KeySweep, PreparedJob, When};
use poolder_core::policy::decide::Transition;
use poolder_core::{Claim, Envelope, Handle, Lane};

use super::inject::{NOTHING, Tolerated};
use super::jobs::{bury, release, retry, settlement};
use super::{Lab, envelope, id_of, lane_key, partition};

pub(super) const SCRIPTS: &[&str] =
    &["unique/holder", "unique/start", "unique/release", "unique/sweep"];

const HOUR: Duration = Duration::from_secs(3600);
const NO_OPTIONS: &[u8] = b"\x80";
/// A value of the hash of keys that makes its other fields fast to find is no key.
const STEPS: Tolerated<'_> = Tolerated { steps: true, ..NOTHING };

/// Returns the job of this number, with the key of all others.
fn unique(number: u8, rule: Unique) -> PreparedJob {
    let plain = Envelope::parse(envelope(number, "k", NO_OPTIONS)).unwrap();
    let mut new = PreparedJob::new(partition(), plain);
    new.make_unique(&rule.by(&"one")).unwrap();
    new
}

impl Lab {
    async fn store(&self, new: &PreparedJob) {
        self.broker().enqueue(new).await.unwrap();
    }
}

/// Checks enqueues that store, that find another job, and that replace its data.
async fn enqueues(lab: &mut Lab) {
    for (when, idempotent) in [
        (When::Now, None),
        (When::In(HOUR), None),
        (When::Now, Some(HOUR)),
        (When::In(HOUR), Some(HOUR)),
    ] {
        lab.reset();
        let mut new = unique(1, Unique::until_done());
        (new.when, new.idempotent) = (when, idempotent);
        let fault = lab.snapshot();
        lab.store(&new).await;
        let case = format!("{when:?}, idempotent: {idempotent:?}");
        // The value that makes fields fast to find is left out until the next key.
        let but = Tolerated { survived: &["unique"], repeated: &["sent:"], ..NOTHING };
        lab.inject_but("unique/holder", &case, fault, but);
        for on_duplicate in [
            OnDuplicate::Keep,
            OnDuplicate::Replace,
            OnDuplicate::Renew(HOUR * 2),
            OnDuplicate::Behind,
        ] {
            if on_duplicate != OnDuplicate::Keep && idempotent.is_some() {
                continue;
            }
            let mut second = unique(2, Unique::until_done());
            second.on_duplicate = on_duplicate;
            if let (OnDuplicate::Renew(_), When::Now) = (on_duplicate, when) {
                continue;
            }
            let fault = lab.snapshot();
            lab.store(&second).await;
            let case = format!("{case}, then {on_duplicate:?}");
            lab.inject_but("unique/holder", &case, fault, STEPS);
        }
    }
}

/// Checks a job that waits behind another one: what stores it, replaces its data, and starts it.
async fn behind(lab: &mut Lab) {
    let handle = Handle::new(partition().queue, id_of(1));
    let job = |number| unique(number, Unique::keep_last());
    for idempotent in [None, Some(HOUR)] {
        lab.reset();
        lab.store(&job(1)).await;
        let mut second = job(2);
        second.idempotent = idempotent;
        let fault = lab.snapshot();
        lab.store(&second).await;
        let case = format!("behind another one, idempotent: {idempotent:?}");
        lab.inject_but("unique/holder", &case, fault, STEPS);
    }
    let fault = lab.snapshot();
    lab.store(&job(3)).await;
    lab.inject_but("unique/holder", "the data of one behind", fault, STEPS);
    for (case, transition) in [
        ("completion", (|_| Transition::Complete) as fn(&Claim) -> Transition),
        ("retry", retry),
        ("burial", bury),
    ] {
        lab.reset();
        lab.store(&job(1)).await;
        lab.store(&job(2)).await;
        let claim = lab.take(Lane::Normal, 1).await.0.remove(0);
        let fault = lab.snapshot();
        lab.settle(&[settlement(&claim, transition(&claim))]).await;
        lab.inject("jobs/settle", &format!("{case} before one behind"), fault);
    }
    // The removal is done when the key is passed on; a job behind is then started by the sweep.
    let but = Tolerated { survived: &["unique", "sent:", "due", "result:"], ..STEPS };
    for (script, case) in
        [("admin/cancel", "cancelled"), ("admin/remove", "removed"), ("admin/bury", "buried")]
    {
        lab.reset();
        lab.store(&job(1)).await;
        lab.store(&job(2)).await;
        let fault = lab.snapshot();
        let broker = lab.broker();
        match case {
            "cancelled" => _ = broker.cancel(&handle).await.unwrap(),
            "removed" => broker.delete(&handle).await.unwrap(),
            _ => broker.bury(&handle, "no").await.unwrap(),
        }
        lab.inject_but(script, &format!("one behind the {case} one"), fault, but);
    }
    lab.reset();
    lab.store(&job(1)).await;
    lab.store(&job(2)).await;
    let seen = lab.broker().held_keys(&partition(), None, 10).await.unwrap().0.remove(0);
    assert_eq!(seen.behind, Some(id_of(2)));
    let fault = lab.snapshot();
    assert!(lab.broker().release_key(&seen).await.unwrap());
    lab.inject_but("unique/release", "one behind", fault, STEPS);

    lab.reset();
    lab.store(&job(1)).await;
    lab.store(&job(2)).await;
    let at = Some(poolder::Timestamp::now() + HOUR);
    let fault = lab.snapshot();
    lab.broker().reschedule(&Handle::new(partition().queue, id_of(2)), at).await.unwrap();
    lab.inject("admin/reschedule", "one behind", fault);

    lab.set("DEL", "unique", &[]);
    let fault = lab.snapshot();
    lab.broker().sweep_keys(&partition(), &KeySweep::default()).await.unwrap();
    lab.inject_but("unique/sweep", "one behind a key that was removed", fault, STEPS);
}

/// Checks the ends and the moves of a job that holds its key.
async fn settlements(lab: &mut Lab) {
    for (case, transition) in [
        ("completion", (|_| Transition::Complete) as fn(&Claim) -> Transition),
        ("retry", retry),
        ("release", release),
        ("burial", bury),
    ] {
        for cancelled in [false, true] {
            lab.reset();
            lab.store(&unique(1, Unique::until_done())).await;
            let claim = lab.take(Lane::Normal, 1).await.0.remove(0);
            if cancelled {
                lab.set("ZADD", "cancelled", &[b"1", id_of(1).as_bytes()]);
            }
            let fault = lab.snapshot();
            lab.settle(&[settlement(&claim, transition(&claim))]).await;
            let case = format!("{case} of a unique job, cancelled: {cancelled}");
            let but = Tolerated { survived: &["cancelled"], ..NOTHING };
            lab.inject_but("jobs/settle", &case, fault, but);
        }
    }
}

/// Checks the commands that end, move or revive a job that holds its key.
async fn commands(lab: &mut Lab) {
    let handle = Handle::new(partition().queue, id_of(1));
    for delay in [None, Some(HOUR)] {
        let new = || {
            let mut new = unique(1, Unique::until_done());
            new.when = delay.map_or(When::Now, When::In);
            new
        };
        // A counting error, or one behind the removal, does not fail a command.
        let but = Tolerated { survived: &["unique", "sent:", "due", "result:"], ..STEPS };
        lab.reset();
        lab.store(&new()).await;
        let fault = lab.snapshot();
        lab.broker().cancel(&handle).await.unwrap();
        lab.inject_but("admin/cancel", "a unique job that waits", fault, but);
        lab.reset();
        lab.store(&new()).await;
        let fault = lab.snapshot();
        lab.broker().delete(&handle).await.unwrap();
        lab.inject_but("admin/remove", "a unique job that waits", fault, but);
        lab.reset();
        lab.store(&new()).await;
        let fault = lab.snapshot();
        let at = poolder::Timestamp::now() + HOUR * 2;
        lab.broker().reschedule(&handle, Some(at)).await.unwrap();
        lab.inject_but("admin/reschedule", "a unique job", fault, but);
    }
    lab.reset();
    lab.store(&unique(1, Unique::until_done())).await;
    let claim = lab.take(Lane::Normal, 1).await.0.remove(0);
    lab.settle(&[settlement(&claim, bury(&claim))]).await;
    let fault = lab.snapshot();
    lab.broker().revive(&handle).await.unwrap();
    let but = Tolerated { survived: &["unique"], ..STEPS };
    lab.inject_but("admin/revive", "a unique job", fault, but);
}

#[tokio::test]
async fn an_error_in_a_script_leaves_each_unique_job_in_a_place_with_its_key() {
    let mut lab = Lab::start();
    enqueues(&mut lab).await;
    settlements(&mut lab).await;
    commands(&mut lab).await;
    behind(&mut lab).await;

    lab.reset();
    lab.store(&unique(1, Unique::until_start())).await;
    let claim = lab.take(Lane::Normal, 1).await.0.remove(0);
    let fault = lab.snapshot();
    assert!(lab.broker().free_key_at_start(&partition(), &claim).await.unwrap());
    lab.inject("unique/start", "one job", fault);

    lab.reset();
    lab.store(&unique(1, Unique::until_done())).await;
    let seen = lab.broker().held_keys(&partition(), None, 10).await.unwrap().0.remove(0);
    let fault = lab.snapshot();
    assert!(lab.broker().release_key(&seen).await.unwrap());
    lab.inject("unique/release", "one key", fault);

    lab.reset();
    lab.store(&unique(1, Unique::window(Duration::from_millis(1)))).await;
    lab.set("DEL", &lane_key(Lane::Normal), &[]);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let fault = lab.snapshot();
    let swept = lab.broker().sweep_keys(&partition(), &KeySweep::default()).await.unwrap();
    assert_eq!(swept.freed, 1);
    lab.inject_but("unique/sweep", "a window that is over", fault, STEPS);
    lab.finish(&[
        "unique/holder",
        "unique/start",
        "unique/release",
        "unique/sweep",
        "jobs/settle",
        "admin/cancel",
        "admin/remove",
        "admin/bury",
        "admin/reschedule",
        "admin/revive",
    ]);
}
