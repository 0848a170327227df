//! Who holds a key, how far a suspect reaches, and when a queue is drained.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Drain, Flow, JobState, QueueName, Result, Timestamp};
use poolder_core::broker::{DeadLimits, Settlement};
use poolder_core::policy::decide::{Ending, decide};
use poolder_core::{Facts, Partition};
use redis::cmd;

use crate::harness::{Number, Space, claim_first, eventually, start, teller};

fn first() -> Partition {
    Partition::first(QueueName::new("q").unwrap())
}

#[tokio::test]
async fn a_key_has_one_slot_a_holder_and_jobs_before_it() -> Result<()> {
    let space = Space::new("who-holds");
    let (client, queue) = (&space.client, QueueName::new("q")?);
    assert!(client.who_holds("q", "a").await.unwrap_err().is_not_found());
    client.broker().define_pool(&QueueName::new("rr")?, Mode::RoundRobin, 4).await?;
    assert!(client.who_holds("rr", "a").await.unwrap_err().is_invalid());

    client.broker().define_pool(&queue, Mode::Phash, 1).await?;
    let pool = client.pool::<Number>("q");
    let mut jobs = vec![];
    for (number, key) in (0..).zip(["a", "b", "a", "a"]) {
        jobs.push(pool.cast(Number(number)).key(key).await?);
    }
    let free = client.who_holds("q", "a").await?;
    assert_eq!((free.slot, free.holder, free.waiting, free.of_key), (0, None, 4, 3));
    let front = free.front.unwrap();
    assert_eq!((front.job, front.is_of_key, front.running_since), (jobs[0].job, true, None));

    space.enter("n1", 0, 1, "").await;
    claim_first(&space, &first(), "n1", None).await;
    let held = client.who_holds("q", "b").await?;
    assert_eq!((held.holder.as_deref(), held.holder_is_gone, held.term), (Some("n1"), false, 1));
    assert_eq!((held.waiting, held.of_key, held.looked_at), (3, 1, 3));
    let front = held.front.clone().unwrap();
    assert_eq!((front.job, front.is_of_key), (jobs[0].job, false));
    assert!(front.running_since.is_some());
    let text = held.to_string();
    for part in ["key \"b\" of pool q runs in slot 0", "holder: n1, term 1", "of another key, runs"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let until = (Timestamp::now() + Duration::from_secs(600)).millis();
    let mut hold = cmd("HSET");
    hold.arg(space.key("q", "lease")).arg("hold").arg(until).arg("stopped").arg(1);
    space.redis::<u64>(&mut hold).await;
    space.enter("n1", 60_000, 1, "").await;
    let held = client.who_holds("q", "b").await?;
    assert_eq!(held.hold_until.map(Timestamp::millis), Some(until));
    assert!(held.stopped && held.holder_is_gone, "{held}");
    Ok(())
}

#[tokio::test]
async fn the_blast_radius_has_the_nodes_and_the_jobs_beside() -> Result<()> {
    let space = Space::new("blast");
    for number in 0..3 {
        space.client.enqueue(Number(number)).await?;
    }
    // Two nodes die one after the other: the first with three jobs, the second with one of them.
    let crash = async |node: &str, lane: Lane, most: usize| {
        let mut connection = space.connection("q", node).await;
        let claimed = connection.exchange(&[], Some((lane, most)), false).await.unwrap();
        let settled = claimed.claimed.unwrap().jobs.into_iter().map(|claim| {
            let ending = Ending::Crashed(node.into());
            let facts = Facts::at(Timestamp::now());
            let transition = decide(&Policy::default(), &claim.counters, ending, facts);
            Settlement::new(claim, node.into(), None, transition)
        });
        let settled: Vec<_> = settled.collect();
        space.client.broker().settle(&first(), DeadLimits::default(), &settled).await;
    };
    crash("one", Lane::Normal, 3).await;
    crash("two", Lane::Front, 1).await;
    let suspect = space.client.inspect("q").ready(Lane::Suspect, None, 1).await?.jobs.remove(0);
    let blast = space.client.job(&suspect).blast_radius().await?;
    let nodes: Vec<&str> = blast.crashes.iter().map(|crash| crash.node.as_str()).collect();
    assert_eq!((nodes, blast.suspects, blast.looked_at), (vec!["one", "two"], 1, 3));
    assert_eq!(blast.neighbours.len(), 2, "{blast}");
    for neighbour in &blast.neighbours {
        let found = (neighbour.node.as_str(), neighbour.crashes, neighbour.state);
        assert_eq!(found, ("one", 1, JobState::Ready));
        assert_ne!(neighbour.job, suspect.id());
    }
    let text = blast.to_string();
    assert!(
        text.contains("2 nodes died while it ran") && text.contains("2 jobs were held"),
        "{text}"
    );

    let other = space.client.enqueue(Number(9)).await?;
    let none = space.client.job(&other).blast_radius().await?;
    assert_eq!((none.crashes.len(), none.neighbours.len()), (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_looks_at_a_queue_tell_whether_it_is_drained() -> Result<()> {
    let space = Space::new("flow");
    let queue = space.client.inspect("q");
    let before = queue.overview().await?;
    space.client.enqueue_many((0..50).map(Number)).await;
    let after = async |earlier: Timestamp| {
        let mut view = queue.overview().await.unwrap();
        while view.now.since(earlier) < Duration::from_millis(200) {
            view = queue.overview().await.unwrap();
        }
        view
    };
    let filled = after(before.now).await;
    let flow = Flow::between(&before, &filled).unwrap();
    assert_eq!((flow.waiting, flow.drains(), flow.mean_run), (50, Drain::Never, None));
    assert!(flow.in_per_second > 0.0 && flow.done_per_second == 0.0);
    let (worker, _told) = teller();
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    eventually("it is drained", || async { space.ready("q").await == 0 }).await;
    let drained = after(filled.now).await;
    let flow = Flow::between(&filled, &drained).unwrap();
    assert_eq!(flow.drains(), Drain::Empty);
    assert!(flow.done_per_second > flow.in_per_second, "{flow:?}");
    node.stop().await;
    Ok(())
}
