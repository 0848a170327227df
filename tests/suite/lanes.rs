//! Lanes: high before normal before low, and low never starves.

use poolder::prelude::*;

use crate::harness::{Number, Space, start, teller, within};

#[tokio::test]
async fn better_lanes_are_served_first_and_low_is_not_forgotten() {
    let space = Space::new("lanes");
    for number in 0..100 {
        for (lane, base) in [(Lane::Low, 2_000), (Lane::Normal, 1_000), (Lane::High, 0)] {
            space.client.enqueue(Number(base + number)).lane(lane).await.unwrap();
        }
    }
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let mut order = vec![];
    while order.len() < 300 {
        order.push(within(told.recv()).await.unwrap().0);
    }
    node.stop().await;
    for base in [0, 1_000, 2_000] {
        let lane: Vec<u64> =
            order.iter().copied().filter(|n| (base..base + 1_000).contains(n)).collect();
        assert!(lane.is_sorted(), "one slot keeps the order within a lane");
    }
    let low_early = order[..100].iter().filter(|number| **number >= 2_000).count();
    assert!((3..=12).contains(&low_early), "one claim in sixteen is for low: {low_early} of 100");
    let high_late = order[115..].iter().filter(|number| **number < 1_000).count();
    assert_eq!(high_late, 0, "high is served first otherwise");
}
