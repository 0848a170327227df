//! The operations of jobs in an addressed slot: back to the front, and the block of the slot.

use poolder::Lane;
use poolder_core::broker::Settled;

use super::{RetryPlacement, Shape, Stage, bury, counted, release, retry, settlement};

fn shapes<const N: usize>(numbers: [u8; N]) -> [Shape<'static>; N] {
    numbers.map(|number| Shape { number, ..Shape::default() })
}

#[tokio::test]
async fn a_retry_that_blocks_its_slot_comes_first_and_holds_the_claims_back() {
    let mut stage = Stage::new("op-front").await;
    let lease = stage.lease().await;
    let claims = stage.claim_from(Lane::Front, &shapes([1, 2])).await;
    let front = stage.key("ready:front");
    let _: String =
        stage.set("XADD", &[front.as_bytes(), b"*", b"kind", b"k", b"payload", b"3"]).await;
    let blocked = settlement(&claims[0], retry(&claims[0]));
    stage.apply(blocked.under_lease(&lease, RetryPlacement::BlockSlot)).await;
    assert_eq!(stage.numbers(Lane::Front).await, [1, 2, i16::from(b'k')]);
    assert!(stage.hash("lease").await.contains_key("hold"));
    assert_eq!(stage.counts("stats").await, counted(&[("retried", 1)]));
    assert_eq!(stage.space.due("q").await, 0);
}

#[tokio::test]
async fn an_entry_of_thousands_of_fields_stays_where_it_is() {
    let mut stage = Stage::new("op-fields").await;
    let lease = stage.lease().await;
    let claim = stage.claim_from(Lane::Front, &shapes([1])).await.remove(0);
    let front = stage.key("ready:front");
    let mut add = redis::cmd("XADD");
    add.arg(&front).arg("*");
    (0..9_000).for_each(|n| {
        add.arg(n).arg("v");
    });
    let _: String = stage.space.redis(&mut add).await;
    let _: String = stage.set("XADD", &[front.as_bytes(), b"*", b"kind", b"k"]).await;
    let back = settlement(&claim, release(&claim));
    stage.apply(back.under_lease(&lease, RetryPlacement::Reschedule)).await;
    let numbers = stage.numbers(Lane::Front).await;
    assert_eq!(numbers, [i16::from(b'v'), 1, i16::from(b'k')]);
}

#[tokio::test]
async fn a_retry_that_steps_aside_and_a_burial_go_back_to_the_normal_lane() {
    let mut stage = Stage::new("op-aside").await;
    let lease = stage.lease().await;
    let claims = stage.claim_from(Lane::Front, &shapes([1, 2])).await;
    let ends = [retry(&claims[0]), bury(&claims[1])];
    for (claim, end) in claims.iter().zip(ends) {
        let aside = RetryPlacement::Reschedule;
        stage.apply(settlement(claim, end).under_lease(&lease, aside)).await;
    }
    assert!(!stage.hash("lease").await.contains_key("hold"));
    let bodies = stage.hash("bodies").await;
    assert_eq!(bodies.values().next().unwrap()[0], 3, "the lane that the job returns to");
    assert_eq!(stage.space.dead("q").await.len(), 1);
}

#[tokio::test]
async fn nothing_changes_without_the_lease_or_the_claim() {
    let mut stage = Stage::new("op-lease").await;
    let lease = stage.lease().await;
    let claim = stage.claim_from(Lane::Front, &shapes([1])).await.remove(0);
    let blocks =
        |lease| settlement(&claim, retry(&claim)).under_lease(lease, RetryPlacement::BlockSlot);
    let former = poolder_core::broker::SlotLease { term: 6, ..lease.clone() };
    let before = stage.contents().await;
    let settled = stage.settle(&[blocks(&former)]).await;
    assert!(matches!(settled[0], Settled::Fenced), "{settled:?}");
    assert_eq!(stage.contents().await, before);
    stage.refuses(&claim, blocks(&lease)).await;
}

#[tokio::test]
async fn a_slot_is_not_blocked_by_a_job_that_was_cancelled() {
    let mut stage = Stage::new("op-unblocked").await;
    let lease = stage.lease().await;
    let claim = stage.claim_from(Lane::Front, &shapes([1])).await.remove(0);
    stage.cancel(1).await;
    let blocked = settlement(&claim, retry(&claim));
    stage.apply(blocked.under_lease(&lease, RetryPlacement::BlockSlot)).await;
    assert!(!stage.hash("lease").await.contains_key("hold"));
    assert_eq!(stage.numbers(Lane::Front).await, [0; 0]);
    assert_eq!(stage.counts("stats").await, counted(&[("cancelled", 1)]));
}
