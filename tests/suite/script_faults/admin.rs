//! Commands of operators: cancel, reschedule, remove, revive and pause.

use std::time::Duration;

use poolder::{Timestamp, Unique};
use poolder_core::broker::{PreparedJob, When};
use poolder_core::view::KeptJob;
use poolder_core::{Envelope, Handle, Lane};

use super::inject::{NOTHING, Tolerated};
use super::jobs::{bury, retry, settlement};
use super::{Lab, envelope, id_of, lane_key, partition};

pub(super) const SCRIPTS: &[&str] = &[
    "admin/cancel",
    "admin/pause",
    "admin/reschedule",
    "admin/revive",
    "admin/remove",
    "admin/bury",
    "admin/import",
];

const HOUR: Duration = Duration::from_secs(3600);
/// The option of a job whose completion record is kept for an hour.
const KEPT: &[u8] = b"\x81\xa1e\xce\x00\x36\xee\x80";
/// The option of a job of the schedule `nightly`, which allows one job at a time.
const NIGHTLY: &[u8] = b"\x81\xa1s\x83\xa1n\xa7nightly\xa1t\x01\xa1a\xc3";

/// After a job was removed, no error may hide this from the caller: a record is missing then, or a
/// time without a body stays, which promotion and pruning remove.
const REMOVED: Tolerated<'_> =
    Tolerated { survived: &["batch:dropped", "result:", "due", "dead"], ..NOTHING };

/// A place of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Lane,
    Due,
    Retrying,
    Running,
    Dead,
}

fn handle() -> Handle {
    Handle::new(partition().queue, id_of(1))
}

impl Lab {
    /// Stores a job, which is a batch job, at a place.
    async fn place(&mut self, at: At) {
        self.reset();
        let job = envelope(1, "k", KEPT);
        match at {
            At::Lane => self.set("XADD", &lane_key(Lane::Normal), &[b"*", b"j", &job]),
            At::Due => self.enqueue(1, When::In(HOUR), None).await,
            At::Running | At::Retrying | At::Dead => {
                let claim = self.claim_one(&job).await;
                match at {
                    At::Retrying => self.settle(&[settlement(&claim, retry(&claim))]).await,
                    At::Dead => self.settle(&[settlement(&claim, bury(&claim))]).await,
                    _ => {}
                }
            }
        }
        if at != At::Dead {
            self.set("ZADD", "cancelled", &[b"1", id_of(2).as_bytes()]);
        }
        self.set("HSET", "batch:index", &[id_of(1).as_bytes(), b"1 1 1 1 1 limit:rows"]);
        self.set("RPUSH", &format!("batch:sealed:{}", id_of(1)), &[b"an entry"]);
    }
}

#[tokio::test]
async fn an_error_in_a_command_of_an_operator_is_mended_by_its_repetition() {
    let mut lab = Lab::start();
    for at in [At::Lane, At::Due, At::Retrying, At::Running] {
        lab.place(at).await;
        let fault = lab.snapshot();
        lab.broker().cancel(&handle()).await.unwrap();
        // The number of commands may be raised twice.
        let but = Tolerated { repeated: &["meta"], ..REMOVED };
        lab.inject_but("admin/cancel", &format!("{at:?}"), fault, but);
    }
    for at in [At::Lane, At::Due, At::Retrying, At::Dead] {
        lab.place(at).await;
        let fault = lab.snapshot();
        lab.broker().delete(&handle()).await.unwrap();
        lab.inject_but("admin/remove", &format!("{at:?}"), fault, REMOVED);
    }
    for at in [At::Lane, At::Due, At::Retrying] {
        lab.place(at).await;
        let fault = lab.snapshot();
        let later = Timestamp::from_millis(i64::from(u32::MAX) * 1000);
        lab.broker().reschedule(&handle(), Some(later)).await.unwrap();
        lab.inject("admin/reschedule", &format!("{at:?}"), fault);
    }
    for at in [At::Lane, At::Due, At::Retrying] {
        lab.place(at).await;
        let fault = lab.snapshot();
        lab.broker().edit_job(&handle(), &serde_json::json!("another")).await.unwrap();
        lab.inject("admin/reschedule", &format!("edited, {at:?}"), fault);
    }
    for at in [At::Lane, At::Due, At::Retrying] {
        lab.place(at).await;
        // A batch job is not buried.
        lab.set("DEL", "batch:index", &[]);
        lab.set("DEL", &format!("batch:sealed:{}", id_of(1)), &[]);
        let fault = lab.snapshot();
        lab.broker().bury(&handle(), "no").await.unwrap();
        // A record is missing, or a time without a body stays, as after a removal.
        let but = Tolerated { survived: &["result:", "due"], ..NOTHING };
        lab.inject_but("admin/bury", &format!("{at:?}"), fault, but);
    }
    // A job that was retried, and is back in its lane.
    lab.place(At::Retrying).await;
    let later = Timestamp::from_millis(i64::from(u32::MAX) * 1000);
    lab.broker().promote_as_of(&partition(), Some(later)).await.unwrap();
    let fault = lab.snapshot();
    lab.broker().reschedule(&handle(), Some(later)).await.unwrap();
    lab.inject("admin/reschedule", "retried, in its lane", fault);

    lab.place(At::Dead).await;
    let fault = lab.snapshot();
    lab.broker().revive(&handle()).await.unwrap();
    lab.inject("admin/revive", "one job", fault);

    // A job that a schedule keeps back, one whose receipt goes with it, one beside another of its
    // id, and a dead one of a schedule.
    lab.reset();
    let queued = [b"\x03".as_slice(), &envelope(1, "k", NIGHTLY)].concat();
    lab.set("HSET", "schedules:queued", &[b"nightly", &queued]);
    let fault = lab.snapshot();
    lab.broker().cancel(&handle()).await.unwrap();
    lab.inject_but("admin/cancel", "queued", fault, REMOVED);
    for deletes in [false, true] {
        lab.reset();
        lab.enqueue(1, When::In(HOUR), Some(HOUR)).await;
        let fault = lab.snapshot();
        // A receipt that stays holds the id until its window ends.
        let but = Tolerated { survived: &["sent:", "due"], ..NOTHING };
        if deletes {
            lab.broker().delete(&handle()).await.unwrap();
            lab.inject_but("admin/remove", "with a receipt", fault, but);
        } else {
            lab.broker().cancel(&handle()).await.unwrap();
            lab.inject_but("admin/cancel", "with a receipt", fault, but);
        }
    }
    lab.place(At::Due).await;
    lab.set("XADD", &lane_key(Lane::Normal), &[b"*", b"j", &envelope(1, "k", KEPT)]);
    let fault = lab.snapshot();
    lab.broker().reschedule(&handle(), Some(later)).await.unwrap();
    lab.inject("admin/reschedule", "beside one that waits", fault);
    lab.reset();
    let claim = lab.claim_one(&envelope(1, "k", NIGHTLY)).await;
    lab.settle(&[settlement(&claim, bury(&claim))]).await;
    let fault = lab.snapshot();
    lab.broker().revive(&handle()).await.unwrap();
    lab.inject("admin/revive", "of a schedule", fault);

    // A job of a schedule in a lane, a unique one and a retried one that wait, and a dead one.
    for (at, options, unique) in [
        (At::Lane, NIGHTLY, false),
        (At::Lane, KEPT, true),
        (At::Due, KEPT, false),
        (At::Due, KEPT, true),
        (At::Retrying, NIGHTLY, false),
        (At::Dead, KEPT, false),
    ] {
        lab.reset();
        let job = envelope(1, "k", options);
        match at {
            At::Lane | At::Due if unique || at == At::Due => {
                let mut new = PreparedJob::new(partition(), Envelope::parse(job).unwrap());
                new.when = if at == At::Due { When::In(HOUR) } else { When::Now };
                if unique {
                    new.make_unique(&Unique::until_done().by(&"one")).unwrap();
                }
                lab.broker().enqueue(&new).await.unwrap();
            }
            At::Retrying | At::Dead => {
                let claim = lab.claim_one(&job).await;
                let end = if at == At::Dead { bury(&claim) } else { retry(&claim) };
                lab.settle(&[settlement(&claim, end)]).await;
            }
            _ => lab.set("XADD", &lane_key(Lane::Normal), &[b"*", b"j", &job]),
        }
        let view = lab.broker().find(&handle()).await.unwrap().unwrap();
        let kept = [KeptJob::of(&view).unwrap()];
        lab.reset();
        let fault = lab.snapshot();
        lab.broker().import(&partition(), &kept).await.unwrap();
        // The field that lets the server find a key at once may be missing.
        let but = Tolerated { survived: &["unique"], ..NOTHING };
        lab.inject_but("admin/import", &format!("{at:?} {unique}"), fault, but);
    }

    for paused in [false, true] {
        lab.reset();
        if paused {
            lab.broker().pause(&partition()).await.unwrap();
        }
        let fault = lab.snapshot();
        if paused {
            lab.broker().resume(&partition()).await.unwrap();
        } else {
            lab.broker().pause(&partition()).await.unwrap();
        }
        // The number of commands may be raised twice.
        let but = Tolerated { repeated: &["meta"], ..NOTHING };
        lab.inject_but("admin/pause", &format!("paused: {paused}"), fault, but);
    }
    lab.finish(SCRIPTS);
}
