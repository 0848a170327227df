//! The ends of unique jobs beside those of handlers: by commands, by crashes, and of dead jobs. Each
//! frees the key, and nothing that is not an end does.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Action, Filter, Listing, Partition, Receipt};
use poolder_core::broker::{DeadLimits, Settled, Settlement};
use poolder_core::policy::decide::{Ending, Transition, decide};
use poolder_core::{Claim, Entry, Facts, Timestamp};

use super::keys::{claim, queue, settle};
use crate::harness::{Number, Space};

const HOUR: Duration = Duration::from_secs(3600);

async fn send(space: &Space, delay: Duration) -> Receipt {
    let rule = Unique::until_done().by(&"one");
    space.client.enqueue(Number(1)).after(delay).unique(rule).await.unwrap()
}

/// Checks that the key is held by this job.
async fn is_held_by(space: &Space, job: &Receipt, how: &str) {
    let again = send(space, Duration::ZERO).await;
    assert_eq!((again.is_duplicate(), again.job), (true, job.job), "{how}");
}

/// Returns what is decided about a claim that ends this way.
fn next(claim: &Claim, ending: Ending) -> Transition {
    let facts = Facts::at(Timestamp::from_millis(0));
    decide(&claim.envelope.policy(), &claim.counters, ending, facts)
}

/// Claims the job as a consumer, and rescues it as if the node had died. Returns false when it is
/// dead for that.
async fn crash(space: &Space) -> bool {
    let (broker, partition) = (space.client.broker(), Partition::first(queue()));
    for lane in Lane::ALL {
        let mut line = space.connection("q", "lost").await;
        line.exchange(&[], Some((lane, 1)), true).await.unwrap();
        let held = broker.held_by(&partition, lane, "lost", None).await.unwrap().entries;
        let Some(Entry::Job(claim)) = held.into_iter().next() else { continue };
        let fate = next(&claim, Ending::Crashed("lost".into()));
        let goes_on = !matches!(fate, Transition::Bury { .. });
        let rescue = Settlement::new(claim, "lost".into(), None, fate);
        let settled = broker.settle(&partition, DeadLimits::default(), &[rescue]).await;
        assert!(matches!(settled[0], Settled::Applied), "{settled:?}");
        return goes_on;
    }
    panic!("nothing is ready")
}

#[tokio::test]
async fn each_command_that_ends_a_job_frees_its_key() {
    let space = Space::new("unique-commands");
    let (client, queue) = (&space.client, space.client.inspect("q"));
    let partition = Partition::first(super::keys::queue());
    let bulk = async |listing, action| {
        let report = queue.bulk(listing, &Filter::any(), action).await.unwrap();
        assert_eq!(report.changed, 1, "{listing:?}");
    };
    for how in [
        "cancel",
        "cancel running",
        "cancel all",
        "remove",
        "delete all",
        "drain",
        "bury",
        "bury all",
    ] {
        for delay in [Duration::ZERO, HOUR] {
            let listing = if delay.is_zero() { Listing::Ready } else { Listing::Due };
            let job = send(&space, delay).await;
            assert!(!job.is_duplicate(), "before {how}, {delay:?}");
            is_held_by(&space, &job, how).await;
            match how {
                "cancel" => drop(client.job(&job).cancel().await.unwrap()),
                "cancel running" => {
                    if !delay.is_zero() {
                        client.job(&job).run_now().await.unwrap();
                        client.broker().promote(&partition).await.unwrap();
                    }
                    let running = claim(&space).await;
                    client.job(&job).cancel().await.unwrap();
                    is_held_by(&space, &job, "it has not stopped").await;
                    settle(&space, &running, next(&running, Ending::Cancelled)).await;
                }
                "cancel all" => bulk(listing, Action::Cancel).await,
                "remove" => client.job(&job).remove().await.unwrap(),
                "delete all" => bulk(listing, Action::Delete).await,
                "drain" => assert_eq!(queue.drain().await.unwrap(), 1),
                "bury" => client.job(&job).bury("no").await.unwrap(),
                _ => bulk(listing, Action::Bury("no".into())).await,
            }
        }
    }
}

#[tokio::test]
async fn a_job_that_goes_on_keeps_its_key_also_when_its_nodes_die() {
    let space = Space::new("unique-goes-on");
    let job = send(&space, Duration::ZERO).await;
    let partition = Partition::first(queue());
    for how in ["handed back", "snoozed", "rescued"] {
        match how {
            "handed back" => {
                let running = claim(&space).await;
                settle(&space, &running, next(&running, Ending::Released)).await;
            }
            "snoozed" => {
                let running = claim(&space).await;
                let ending = Ending::Outcome(Snooze(Duration::ZERO));
                settle(&space, &running, next(&running, ending)).await;
                is_held_by(&space, &job, "it waits").await;
                space.client.broker().promote(&partition).await.unwrap();
            }
            _ => assert!(crash(&space).await),
        }
        is_held_by(&space, &job, how).await;
    }
    while crash(&space).await {
        is_held_by(&space, &job, "rescued again").await;
    }
    assert_eq!(space.dead("q").await.len(), 1);
    assert!(!send(&space, Duration::ZERO).await.is_duplicate(), "buried for its crashes");
}

#[tokio::test]
async fn the_end_of_a_dead_job_takes_no_key_from_its_successor() {
    let space = Space::new("unique-dead-ends");
    let (broker, partition) = (space.client.broker(), Partition::first(queue()));
    let inspector = space.client.inspect("q");
    for how in ["removed", "purged", "pruned", "dropped", "revived"] {
        let dead = send(&space, Duration::ZERO).await;
        assert!(!dead.is_duplicate(), "before {how}");
        space.client.job(&dead).bury("no").await.unwrap();
        let holder = send(&space, Duration::ZERO).await;
        match how {
            "removed" => space.client.job(&dead).remove().await.unwrap(),
            "purged" => assert_eq!(inspector.purge_dead().await.unwrap(), 1),
            "pruned" => {
                let (limits, later) = (DeadLimits::default(), Timestamp::now() + HOUR * 24 * 365);
                assert_eq!(broker.prune_dead(&partition, limits, later).await.unwrap(), 1);
            }
            "dropped" => {
                // A younger dead job takes its place.
                space.client.enqueue(Number(2)).await.unwrap();
                let first = claim(&space).await;
                let other = claim(&space).await;
                let (first, other) = match first.envelope.unique_mode() {
                    Some(_) => (first, other),
                    None => (other, first),
                };
                let release = next(&first, Ending::Released);
                let counters = other.counters.clone();
                let limits = DeadLimits { count: 1, ..DeadLimits::default() };
                let both = [
                    Settlement::new(first, "me".into(), None, release),
                    Settlement::new(other, "me".into(), None, Transition::Bury { counters }),
                ];
                for settlement in both {
                    broker.settle(&partition, limits, &[settlement]).await;
                }
                assert_eq!(inspector.dead(None, 9).await.unwrap().jobs.len(), 1);
            }
            _ => assert!(space.client.job(&dead).revive().await.unwrap_err().is_gone()),
        }
        is_held_by(&space, &holder, how).await;
        space.client.job(&holder).cancel().await.unwrap();
    }
}
