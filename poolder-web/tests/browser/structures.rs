//! The changes of nodes, schedules, pools, batches and unique keys, made as a visitor makes them.

use std::time::Duration;

use poolder::{BatchOptions, QueueLimits, Status, Unique};
use poolder_core::broker::NodeOrder;

use crate::actions::{ask, button, said};
use crate::driver::Tab;
use crate::world::{QUEUE, Ship, World, must, text};

/// Asks a node for something on its page.
pub(crate) async fn of_node(world: &World, tab: &Tab, action: &str) -> Result<(), String> {
    let node = world.node().await?;
    let name = world.client.nodes().await.map_err(text)?[0].name.clone();
    tab.open(&world.site.page("/nodes"))?;
    tab.press("a[href^='/nodes/']")?;
    if action == "node-forget" {
        // A node that is dropped says nothing more.
        node.abort();
        let there = "document.querySelector(\"a[href*='action=node-forget']\") != null";
        tab.until("the node may be forgotten", || {
            tab.open(&tab.address()?)?;
            Ok(tab.value(there)? == true && tab.text()?.contains("silent"))
        })?;
    }
    match action {
        "node-resume" => {
            world.client.quiet_node(&name).await.map_err(text)?;
            let there = "document.querySelector('button[value=node-resume]') != null";
            tab.until("the node may be resumed", || {
                tab.open(&tab.address()?)?;
                Ok(tab.value(there)? == true)
            })?;
        }
        _ => ask(tab, action)?,
    }
    tab.press(&button(action))?;
    said(tab, "The same: poolder node")?;
    let nodes = world.client.nodes().await.map_err(text)?;
    match action {
        "node-quiet" => must(nodes[0].order.is_some(), "the node has no order")?,
        "node-resume" => {
            let quiet = nodes[0].order == Some(NodeOrder::Quiet);
            must(!quiet, "the node has still the order to be quiet")?;
        }
        "node-stop" => {
            let ended = tokio::time::timeout(Duration::from_secs(20), node.ended()).await;
            must(ended.is_ok(), "the node did not stop")?;
        }
        _ => must(nodes.iter().all(|it| it.name != name), "the node is still known")?,
    }
    Ok(())
}

/// Changes a schedule on the page of all.
pub(crate) async fn of_schedule(world: &World, tab: &Tab, action: &str) -> Result<(), String> {
    let job = Ship { to: "all".into() };
    world.client.schedule("prices", "@every 15m", job).await.map_err(text)?;
    let schedules = world.client.schedules(QUEUE);
    if action == "schedule-resume" {
        schedules.pause("prices").await.map_err(text)?;
    }
    tab.open(&world.site.page("/schedules"))?;
    if action == "schedule-remove" {
        ask(tab, action)?;
        tab.press(&button(action))?;
    } else {
        // The bar for several schedules has such a button as well.
        tab.press(&format!("td {}", button(action)))?;
    }
    said(tab, "The same: poolder schedule")?;
    let stored = schedules.get("prices").await.map_err(text)?;
    let status = stored.map(|view| view.status);
    let ready = world.queue().await?.ready();
    must(
        match action {
            "schedule-run" => ready == 1,
            "schedule-pause" => status == Some(Status::Paused),
            "schedule-resume" => status == Some(Status::Active),
            _ => status.is_none(),
        },
        format!("the schedule is {status:?}, {ready} jobs wait"),
    )
}

/// Changes a pool with addressed slots.
pub(crate) async fn of_pool(world: &World, tab: &Tab, action: &str) -> Result<(), String> {
    let _node = world.node().await?;
    let pool = world.client.pool::<Ship>(QUEUE);
    while pool.view().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if action == "pool-start" {
        pool.stop().await.map_err(text)?;
    }
    tab.open(&world.site.page(&format!("/pools/{QUEUE}")))?;
    if action != "pool-start" {
        ask(tab, action)?;
    }
    if action == "resize" {
        tab.clear("#in-size")?;
        tab.type_into("#in-size", "5")?;
    }
    tab.press(&button(action))?;
    said(tab, "The same: poolder ")?;
    let view = pool.view().await.map_err(text)?;
    must(
        match action {
            "resize" => view.size == 5,
            "pool-stop" => view.stopped,
            _ => !view.stopped,
        },
        format!("{view:?}"),
    )
}

/// Flushes a list of a batcher, or takes an entry out.
pub(crate) async fn of_batch(world: &World, tab: &Tab, action: &str) -> Result<(), String> {
    let rows = world.client.batcher::<String>("rows");
    rows.declare(BatchOptions::default().limit(10).timeout(None)).await.map_err(text)?;
    let group = rows.group("eu");
    for entry in ["one", "<b>two</b>", "three"] {
        group.push(entry.to_owned()).await.map_err(text)?;
    }
    tab.open(&world.site.page("/batches/rows/rows?group=eu"))?;
    if action == "batch-pop" {
        tab.press("a[href*='action=batch-pop'][href*='index=1']")?;
        tab.shows("Take entry 1 out of rows, group eu?")?;
    }
    tab.press(&button(action))?;
    said(tab, "rows")?;
    let left = group.list(0).await.map_err(text)?.entries;
    let right: &[&str] = if action == "batch-pop" { &["one", "three"] } else { &[] };
    must(left == right, format!("{left:?} is left"))
}

/// Releases the key of a unique job.
pub(crate) async fn of_key(world: &World, tab: &Tab) -> Result<(), String> {
    let job = world.client.enqueue(Ship { to: "ana".into() }).unique(Unique::until_done());
    job.await.map_err(text)?;
    tab.open(&world.site.page(&format!("/queues/{QUEUE}/keys")))?;
    ask(tab, "key-release")?;
    tab.press(&button("key-release"))?;
    said(tab, "key")?;
    let (keys, _) = world.client.inspect(QUEUE).unique_keys(None, 10).await.map_err(text)?;
    must(keys.is_empty(), "the key is still held")
}

/// Pauses, resumes or purges a group of a limited queue.
pub(crate) async fn of_group(world: &World, tab: &Tab, action: &str) -> Result<(), String> {
    let limits = world.client.limits(QUEUE);
    limits.set(QueueLimits::new().group_concurrency(1)).await.map_err(text)?;
    for to in ["ana", "bob"] {
        let job = world.client.enqueue(Ship { to: to.into() }).group("acme");
        job.await.map_err(text)?;
    }
    if action == "group-resume" {
        limits.pause_group("acme").await.map_err(text)?;
    }
    tab.open(&world.queue_page())?;
    tab.press("a[href$='/groups']")?;
    if action == "group-purge" {
        ask(tab, action)?;
        tab.shows("Delete 2 jobs of group acme")?;
        tab.type_into("#in-typed", "acme")?;
    }
    tab.press(&button(action))?;
    said(tab, "The same: poolder group")?;
    let group = limits.group("acme").await.map_err(text)?;
    must(
        match action {
            "group-pause" => group.as_ref().is_some_and(|group| group.paused.is_some()),
            "group-resume" => group.as_ref().is_some_and(|group| group.paused.is_none()),
            _ => group.is_none(),
        },
        format!("{group:?}"),
    )
}
