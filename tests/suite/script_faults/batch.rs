//! Gathering, sealing and dropping batches.

use std::time::Duration;

use poolder_core::Lane;
use poolder_core::broker::{BatchOptions, BatcherHome, DeadLimits, ListEnd, PushCall, Token};

use super::inject::{NOTHING, Tolerated};
use super::{Lab, envelope, id_of, lane_key, partition};

pub(super) const SCRIPTS: &[&str] = &[
    "batch/push",
    "batch/pop",
    "batch/batcher_declare",
    "batch/batch_discard",
    "batch/stash",
    "batch/timer_postpone",
    "maintenance/prune",
];

const HOUR: Duration = Duration::from_secs(3600);

/// A timer whose list is gone seals nothing, and goes when it is due.
/// A push skips ids whose lists exist.
const PUSH: Tolerated<'_> = Tolerated { survived: &["due"], taken: &["batch:sealed:"], ..NOTHING };

fn home() -> BatcherHome {
    BatcherHome::new("q", "rows").unwrap()
}

fn options() -> BatchOptions {
    BatchOptions::default().limit(4).timeout(HOUR)
}

impl Lab {
    async fn declare(&self) {
        self.broker().declare_batcher(&home(), &options()).await.unwrap();
    }

    async fn push(&self, numbers: std::ops::Range<u8>, token: bool) {
        let entries: Vec<Vec<u8>> =
            numbers.map(|number| format!("entry {number}").into_bytes()).collect();
        let token = token.then_some(Token { name: "token", window: HOUR });
        let call = PushCall { group: "", entries: &entries, end: ListEnd::Back, token };
        for pushed in self.broker().push_entries(&home(), &options(), &[call]).await {
            assert_eq!(pushed.unwrap().stored, entries.len());
        }
    }
}

async fn pushes(lab: &mut Lab) {
    // A push without a token may be repeated by its caller, who then may store entries twice.
    for (case, before, pushed) in [
        ("the first entries", 0..0, 1..3),
        ("more entries", 0..1, 1..3),
        ("entries that fill the list", 0..2, 2..4),
        ("entries that fill the list and begin another", 0..2, 2..6),
        ("a whole batch", 0..0, 0..4),
        ("two whole batches and more", 0..0, 0..10),
    ] {
        lab.reset();
        lab.declare().await;
        if !before.is_empty() {
            lab.push(before, false).await;
        }
        let fault = lab.snapshot();
        lab.push(pushed, true).await;
        lab.inject_but("batch/push", case, fault, PUSH);
    }
    lab.reset();
    lab.declare().await;
    lab.push(0..3, false).await;
    let fault = lab.snapshot();
    lab.broker().flush_batch(&home(), "").await.unwrap();
    lab.inject_but("batch/push", "flush", fault, PUSH);

    lab.reset();
    lab.declare().await;
    lab.push(0..3, false).await;
    let later = poolder::Timestamp::from_millis(i64::from(u32::MAX) * 1000);
    let fault = lab.snapshot();
    lab.broker().promote_as_of(&partition(), Some(later)).await.unwrap();
    lab.inject_but("batch/push", "timer", fault, PUSH);

    lab.reset();
    let member = b"timer:batch:seal:rows:17:";
    lab.set("ZADD", "due", &[b"17", member]);
    let fault = lab.snapshot();
    lab.broker().promote_as_of(&partition(), None).await.unwrap();
    lab.inject("batch/push", "timer of a batcher that is not declared", fault);
}

#[tokio::test]
async fn an_error_in_a_script_of_a_batcher_is_mended() {
    let mut lab = Lab::start();
    pushes(&mut lab).await;
    for (case, pushed, index) in
        [("the only entry", 0..1, 0), ("first", 0..3, 0), ("last", 0..3, 2)]
    {
        lab.reset();
        lab.declare().await;
        lab.push(pushed, false).await;
        let fault = lab.snapshot();
        lab.broker().pop_entry(&home(), "", None, index).await.unwrap();
        // The caller gets its entry. The list may count too many bytes, or be gone.
        let but = Tolerated { survived: &["batch:open:", "due"], ..NOTHING };
        lab.inject_but("batch/pop", case, fault, but);
    }
    for newer in [false, true] {
        lab.reset();
        if newer {
            lab.declare().await;
        }
        let fault = lab.snapshot();
        let options = options().revision(7);
        lab.broker().declare_batcher(&home(), &options).await.unwrap();
        lab.inject("batch/batcher_declare", &format!("newer: {newer}"), fault);
    }

    lab.reset();
    lab.declare().await;
    lab.push(0..4, false).await;
    let lane = lab.space.key("q", &lane_key(Lane::Normal));
    lab.ask::<()>(redis::cmd("XTRIM").arg(&lane).arg("MAXLEN").arg(0));
    let index: Vec<Vec<u8>> = lab.ask(redis::cmd("HKEYS").arg(lab.space.key("q", "batch:index")));
    lab.set("SADD", "batch:dropped", &[&index[0]]);
    let fault = lab.snapshot();
    let now = poolder::Timestamp::from_millis(0);
    lab.broker().prune_dead(&partition(), DeadLimits::default(), now).await.unwrap();
    lab.inject("batch/batch_discard", "a list that counts", fault);

    lab.reset();
    lab.declare().await;
    for (number, record) in [(1, b"0 1 5 1 1 rows:"), (2, b"1 1 5 1 1 rows:")] {
        let id = id_of(number);
        lab.set("RPUSH", &format!("batch:sealed:{id}"), &[b"entry"]);
        lab.set("HSET", "batch:index", &[id.as_bytes(), record]);
        lab.set("HSET", "dead:bodies", &[id.as_bytes(), b"\x00\x00\x03\x00\x00"]);
        lab.set("ZADD", "dead", &[b"17", id.as_bytes()]);
    }
    let later = poolder::Timestamp::from_millis(i64::from(u32::MAX) * 1000);
    let fault = lab.snapshot();
    lab.broker().prune_dead(&partition(), DeadLimits::default(), later).await.unwrap();
    lab.inject("maintenance/prune", "two dead batches", fault);

    lab.reset();
    lab.set("XADD", &lane_key(Lane::Normal), &[b"*", b"j", &envelope(1, "k", b"\x80")]);
    let fault = lab.snapshot();
    let entries = [b"entry".to_vec()];
    lab.broker().set_aside(&partition(), id_of(1), "part", &entries).await.unwrap();
    // After an error the caller begins the list anew.
    let but = Tolerated { repeated: &["batch:rest:"], ..NOTHING };
    lab.inject_but("batch/stash", "one entry", fault, but);

    lab.reset();
    lab.set("ZADD", "due", &[b"17", b"timer:of:another:version"]);
    let fault = lab.snapshot();
    lab.broker().promote_as_of(&partition(), None).await.unwrap();
    lab.inject("batch/timer_postpone", "a timer of another version", fault);
    lab.finish(SCRIPTS);
}
