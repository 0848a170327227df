//! The roster, the leader of a partition, and the cancellations that nodes read.

use std::time::Duration;

use poolder_core::broker::{Beater, NodeInfo, NodeOrder};
use redis::cmd;

use super::inject::{NOTHING, Tolerated};
use super::{Lab, id_of, partition};

pub(super) const SCRIPTS: &[&str] = &[
    "fleet/node_beat",
    "fleet/node_mark_dead",
    "fleet/node_order",
    "fleet/leader_elect",
    "fleet/leader_resign",
    "fleet/cancel_expire",
    "connection/write",
];

const TTL: Duration = Duration::from_secs(60);

impl Lab {
    fn roster(&self, key: &str) -> String {
        format!("{}:{{roster}}:{key}", self.space.name())
    }

    /// Runs a step of the thread that sends heartbeats.
    async fn beater(&self, step: impl FnOnce(&mut Beater) + Send + 'static) {
        let mut beater = Beater::new(self.broker());
        tokio::task::spawn_blocking(move || step(&mut beater)).await.unwrap();
    }
}

#[tokio::test]
async fn an_error_in_a_script_of_the_fleet_is_mended() {
    let mut lab = Lab::start();
    for known in [false, true] {
        lab.reset();
        if known {
            lab.beater(|beater| drop(beater.beat("me", std::time::Duration::ZERO).unwrap())).await;
        }
        let fault = lab.snapshot();
        lab.beater(|beater| drop(beater.beat("me", std::time::Duration::ZERO).unwrap())).await;
        lab.inject("fleet/node_beat", &format!("known: {known}"), fault);
    }
    let fault = lab.snapshot();
    lab.beater(|beater| assert!(beater.introduce("me", &NodeInfo::default()).unwrap())).await;
    lab.inject("connection/write", "a description", fault);
    let fault = lab.snapshot();
    lab.space.connection("q", "me").await;
    lab.inject("connection/write", "a consumer group", fault);
    let nodes = lab.roster("nodes");
    lab.ask::<()>(cmd("ZADD").arg(nodes).arg(17).arg("me"));
    let marks = lab.roster("marks");
    lab.ask::<()>(cmd("ZADD").arg(marks).arg(1).arg("an old mark"));
    let fault = lab.snapshot();
    lab.beater(|beater| assert!(beater.mark("me", "17").unwrap())).await;
    // Old marks and descriptions may stay.
    let but = Tolerated { survived: &["marks", "about", "orders"], ..NOTHING };
    lab.inject_but("fleet/node_mark_dead", "a silent node", fault, but);

    lab.reset();
    lab.beater(|beater| drop(beater.beat("me", Duration::ZERO).unwrap())).await;
    let fault = lab.snapshot();
    lab.broker().order_node("me", NodeOrder::Quiet).await.unwrap();
    lab.inject("fleet/node_order", "quiet", fault);

    lab.reset();
    for dead in [None, Some("me")] {
        let node = if dead.is_some() { "other" } else { "me" };
        let fault = lab.snapshot();
        assert!(lab.broker().lead(&partition(), node, TTL, dead).await.unwrap().ours);
        // Terms may be left out, and begin again when they cannot be counted.
        let terms = ["leader", "meta"];
        let but = Tolerated { survived: &terms, repeated: &terms, ..NOTHING };
        lab.inject_but("fleet/leader_elect", &format!("instead of {dead:?}"), fault, but);
    }
    let fault = lab.snapshot();
    lab.broker().resign(&partition(), "other").await.unwrap();
    lab.inject("fleet/leader_resign", "the leader", fault);

    lab.reset();
    lab.set("ZADD", "cancelled", &[b"1", id_of(1).as_bytes(), b"2", id_of(2).as_bytes()]);
    let fault = lab.snapshot();
    lab.broker().expire_cancellations(&partition()).await.unwrap();
    lab.inject("fleet/cancel_expire", "two cancellations", fault);
    lab.finish(SCRIPTS);
}
