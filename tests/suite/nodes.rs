//! What a node says about itself in the roster.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{NodeInfo, NodeView};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::harness::{Number, Space, eventually, start};

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "film.cut", version = 3)]
struct Cut;

async fn cut(_: Cut) -> Result<(), BoxError> {
    Ok(())
}

async fn info(space: &Space) -> Option<NodeInfo> {
    let nodes: Vec<NodeView> = space.client.nodes().await.unwrap();
    nodes.into_iter().next().and_then(|node| node.info)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_says_what_it_can_run_and_what_it_does() {
    let space = Space::new("about_nodes");
    let (release, released) = watch::channel(false);
    let wait = worker_fn(move |_: Number, _: Context| {
        let mut released = released.clone();
        async move {
            released.wait_for(|released| *released).await?;
            Ok::<_, BoxError>(Done)
        }
    });
    let keys = Pool::new("keys").size(3).mode(Mode::Phash).worker(worker_fn(cut));
    let mail = Pool::new("mail").size(4).worker(wait);
    let node = start(space.node().deploy("v7-abc").pool(mail).pool(keys));
    for _ in 0..2 {
        space.client.enqueue(Number(1)).queue("mail").await.unwrap();
    }
    eventually("it holds its slots and runs both jobs", || async {
        info(&space).await.is_some_and(|info| info.held == 3 && info.busy == 2)
    })
    .await;
    let about = info(&space).await.unwrap();
    // The pools can be summed over the nodes: of an addressed pool they say the slots held here.
    let mut pools = about.pools.clone();
    pools.sort_unstable();
    assert_eq!(pools, [("keys".to_owned(), 3), ("mail".to_owned(), 4)]);
    let kinds: Vec<_> =
        about.kinds.iter().map(|it| (it.queue.as_str(), it.name.as_str(), it.version)).collect();
    assert!(kinds.contains(&("keys", "film.cut", 3)), "{kinds:?}");
    assert!(kinds.contains(&("mail", "number", 1)), "{kinds:?}");
    assert_eq!((about.deploy.as_str(), about.pid), ("v7-abc", std::process::id()));
    assert!(!about.host.is_empty());
    assert!(about.rss > 1 << 20, "{} bytes", about.rss);

    release.send_replace(true);
    eventually("it says that no slot is busy", || async {
        info(&space).await.is_some_and(|info| info.busy == 0)
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn two_nodes_share_the_slots_of_a_pool() {
    let space = Space::new("held_slots");
    let pool = || Pool::new("keys").size(5).mode(Mode::Phash).worker(worker_fn(cut));
    let nodes = [start(space.node().pool(pool())), start(space.node().pool(pool()))];
    eventually("each says its own", || async {
        let nodes = space.client.nodes().await.unwrap();
        let infos: Vec<_> = nodes.into_iter().filter_map(|node| node.info).collect();
        let held: u32 = infos.iter().map(|info| info.held).sum();
        let slots: usize = infos.iter().flat_map(|info| &info.pools).map(|(_, size)| size).sum();
        infos.len() == 2 && held == 5 && slots == 5
    })
    .await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test]
async fn a_name_of_a_deploy_that_is_too_long_is_refused() {
    let space = Space::new("long_deploy");
    let node = space.node().deploy("x".repeat(129)).pool(Pool::new("q").worker(worker_fn(cut)));
    let refused = node.run_until(tokio::time::sleep(Duration::from_secs(1))).await.unwrap_err();
    assert!(refused.is_invalid() && refused.to_string().contains("128"), "{refused}");
}
