//! The operations of every job: to a lane, to `due`, to the dead, and the records of its end.

use std::time::Duration;

use poolder::Lane;
use poolder_core::broker::Settled;
use poolder_core::policy::decide::Transition;

use super::{HOUR, Shape, Stage, bury, counted, release, retry, settlement};

const JOB: Shape<'static> = Shape { number: 1, batch: false, alone: None, kept: false };

#[tokio::test]
async fn a_release_adds_the_job_to_its_lane() {
    let mut stage = Stage::new("op-lane").await;
    let claim = stage.claim(JOB).await;
    stage.apply(settlement(&claim, release(&claim))).await;
    assert_eq!(stage.numbers(Lane::Front).await, [1]);
    assert_eq!(stage.numbers(Lane::Normal).await, [0; 0]);
    assert_eq!(stage.counts("stats").await, counted(&[("handed_back", 1)]));
    let claim = stage.claim(Shape { number: 2, ..JOB }).await;
    stage.refuses(&claim, settlement(&claim, release(&claim))).await;
}

#[tokio::test]
async fn a_retry_waits_and_a_second_job_of_the_same_id_waits_beside_it() {
    let mut stage = Stage::new("op-due").await;
    for _ in 0..2 {
        let claim = stage.claim(JOB).await;
        stage.apply(settlement(&claim, retry(&claim))).await;
    }
    assert_eq!(stage.space.due("q").await, 2);
    let bodies = stage.hash_len("bodies").await;
    assert_eq!(bodies, 2, "each waiting job has its body");
    assert_eq!(stage.counts("stats").await, counted(&[("retried", 2), ("retrying", 2)]));
    let claim = stage.claim(Shape { number: 2, ..JOB }).await;
    stage.refuses(&claim, settlement(&claim, retry(&claim))).await;
}

#[tokio::test]
async fn a_burial_keeps_the_job_among_the_dead_and_drops_the_oldest_above_the_limit() {
    let mut stage = Stage::new("op-dead").await;
    let shapes: Vec<_> = (1..=103).map(|number| Shape { number, ..JOB }).collect();
    let claims = stage.claim_from(Lane::Normal, &shapes).await;
    let all: Vec<_> = claims.iter().map(|claim| settlement(claim, bury(claim))).collect();
    assert!(stage.settle(&all).await.iter().all(|one| matches!(one, Settled::Applied)));
    assert_eq!(stage.space.dead("q").await.len(), 100);
    assert_eq!(stage.hash_len("dead:bodies").await, 100);
    let counts = stage.counts("stats").await;
    assert_eq!(counts, counted(&[("buried", 103), ("dead_dropped", 3)]));
    let claim = stage.claim(Shape { number: 104, ..JOB }).await;
    stage.refuses(&claim, settlement(&claim, bury(&claim))).await;
}

#[tokio::test]
async fn a_result_and_a_completion_are_kept_for_a_limited_time() {
    let mut stage = Stage::new("op-record").await;
    let claim = stage.claim(JOB).await;
    stage.apply(settlement(&claim, Transition::CompleteWith(b"12".to_vec()))).await;
    let (record, left) = stage.record(1).await;
    assert_eq!(record.as_deref(), Some(b"r12".as_slice()));
    assert!(left > 0 && left <= 24 * 3_600_000, "{left}");
    let kept = Shape { number: 2, kept: true, ..JOB };
    let claim = stage.claim(kept).await;
    stage.apply(settlement(&claim, Transition::Complete)).await;
    let (record, left) = stage.record(2).await;
    assert_eq!(record.as_deref(), Some(b"d".as_slice()));
    assert!(left > 0 && left <= 3_600_000, "{left}");
    let claim = stage.claim(Shape { number: 3, ..kept }).await;
    stage.refuses(&claim, settlement(&claim, Transition::Complete)).await;
}

#[tokio::test]
async fn a_job_that_was_cancelled_meanwhile_is_gone_and_recorded_as_cancelled() {
    let mut stage = Stage::new("op-cancelled").await;
    let kept = Shape { kept: true, ..JOB };
    let shapes = [1, 2, 3].map(|number| Shape { number, ..kept });
    let claims = stage.claim_from(Lane::Normal, &shapes).await;
    for number in [1, 2, 3] {
        stage.cancel(number).await;
    }
    stage.apply(settlement(&claims[0], retry(&claims[0]))).await;
    stage.apply(settlement(&claims[1], release(&claims[1]))).await;
    // A job that has ended is not cancelled any more.
    stage.apply(settlement(&claims[2], Transition::Complete)).await;
    for (number, tag) in [(1, b'c'), (2, b'c'), (3, b'd')] {
        assert_eq!(stage.record(number).await.0.unwrap()[0], tag, "{number}");
    }
    let left = stage.contents().await;
    for gone in ["due", "bodies", "dead"] {
        assert!(!left.contains_key(gone), "{gone}: {left:?}");
    }
    // Other jobs may have these ids, which are not generated.
    assert!(left.contains_key("cancelled"), "{left:?}");
    assert_eq!(stage.numbers(Lane::Front).await, [0; 0]);
    assert_eq!(stage.counts("stats").await, counted(&[("cancelled", 2), ("completed", 1)]));
    // Another consumer's job stays cancelled.
    stage.cancel(4).await;
    let claim = stage.claim(Shape { number: 4, ..kept }).await;
    stage.refuses(&claim, settlement(&claim, retry(&claim))).await;
}

#[tokio::test]
async fn no_time_is_too_long_to_be_stored() {
    let mut stage = Stage::new("op-times").await;
    for (number, kept) in [(1, Duration::MAX), (2, HOUR * 24 * 365 * 200)] {
        let mut claim = stage.claim(Shape { number, ..JOB }).await;
        claim.envelope = claim.envelope.keeping_completion(kept).unwrap();
        stage.apply(settlement(&claim, Transition::Complete)).await;
        let (record, left) = stage.record(number).await;
        let year = 365 * 24 * 3_600_000_i64;
        assert!(record.is_some() && left > 9 * year && left <= 10 * year, "{left}");
    }
}

#[tokio::test]
async fn a_key_of_a_wrong_type_leaves_the_job_claimed_and_in_no_other_place() {
    let mut stage = Stage::new("op-types").await;
    let claim = stage.claim(JOB).await;
    for (key, transition) in [
        ("due", retry(&claim)),
        ("dead", bury(&claim)),
        ("dead:bodies", bury(&claim)),
        ("cancelled", release(&claim)),
    ] {
        let name = stage.key(key);
        let _: String = stage.set("SET", &[name.as_bytes(), b"mine"]).await;
        let before = stage.contents().await;
        let settled = stage.settle(&[settlement(&claim, transition)]).await;
        assert!(matches!(settled[0], Settled::Broken(_)), "{key}: {settled:?}");
        assert_eq!(stage.contents().await, before, "{key}");
        let _: u64 = stage.set("DEL", &[name.as_bytes()]).await;
    }
    // Counters do not matter that much.
    let stats = stage.key("stats");
    let _: String = stage.set("SET", &[stats.as_bytes(), b"mine"]).await;
    stage.apply(settlement(&claim, retry(&claim))).await;
    assert_eq!(stage.hash_len("bodies").await, 1);
}

/// The parts of the script, in their order.
const SCRIPT: [&str; 6] = [
    include_str!("../../../poolder-core/src/broker/scripts/jobs/settle.lua"),
    include_str!("../../../poolder-core/src/broker/scripts/jobs/settle_ops.lua"),
    include_str!("../../../poolder-core/src/broker/scripts/addressed/settle.lua"),
    include_str!("../../../poolder-core/src/broker/scripts/batch/settle.lua"),
    include_str!("../../../poolder-core/src/broker/scripts/schedule/settle.lua"),
    include_str!("../../../poolder-core/src/broker/scripts/jobs/settle_each.lua"),
];

#[tokio::test]
async fn the_script_itself_bounds_the_time_of_a_record() {
    let mut stage = Stage::new("op-bounds").await;
    for (number, ms) in [(1, i64::MAX), (2, 0), (3, -5)] {
        let claim = stage.claim(Shape { number, ..JOB }).await;
        let own = ["ready:normal", "due", "bodies", "dead", "dead:bodies", "stats"];
        let lanes = ["front", "suspect", "high", "normal", "low"].map(|it| format!("ready:{it}"));
        let rest = ["cancelled", "batch:index", "batch:dropped", "lease", "record"];
        let keys = own.into_iter().chain(lanes.iter().map(String::as_str)).chain(rest);
        let keys: Vec<String> = keys.map(|key| stage.key(key)).collect();
        let text = |text: &[u8]| [&[0xda, 0, u8::try_from(text.len()).unwrap()], text].concat();
        let header = [text(claim.entry.as_bytes()), text(&[number; 16]), text(b"completed")];
        let times = [&[0xd3][..], &ms.to_be_bytes()].concat();
        let op = [text(b"keep_result"), vec![16], text(b"r"), times, vec![0xc0, 0xc0]];
        let row = [header.concat(), vec![1, 0xc0, 0xc0, 0xc0], op.concat()].concat();
        let mut eval = redis::cmd("EVAL");
        eval.arg(SCRIPT.concat()).arg(keys.len()).arg(&keys);
        eval.arg("me").arg(100).arg("control").arg("").arg("").arg(row);
        assert_eq!(stage.space.redis::<String>(&mut eval).await, "1");
        // A record that is kept for 1 ms may be gone already.
        let left: i64 = stage.space.redis(redis::cmd("PTTL").arg(&keys[15])).await;
        let ten_years = 10 * 365 * 24 * 3_600_000_i64;
        assert!(if ms > 0 { left > ten_years - 60_000 } else { left <= 1 }, "{ms}: {left}");
        assert!(left <= ten_years, "{left}");
    }
}
