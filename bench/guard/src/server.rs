//! The operations whose cost for the server is counted. All jobs have fixed ids and payloads, and
//! one caller sends the commands, so that the server gets the same bytes in each run.

use std::time::Duration;

use poolder::Client;
use poolder_core::broker::{
    AcquireReply, BatchOptions, BatcherHome, Broker, ListEnd, NodeName, PollRequest, PreparedJob,
    PushCall, PushVerdict, PushedEntries, SlotPoll,
};
use poolder_core::policy::decide::{Ending, Transition, decide};
use poolder_core::{Cause, Claim, Entry, Facts, Failure, Lane, Policy, Timestamp, Verdict};

use crate::consumer::{Consumer, claims, partition};
use crate::job::envelope;
use crate::{AnyError, BATCH};

/// The number of jobs that one poll of an addressed slot claims.
const POLL: usize = 4;
/// The number of entries in a push; eight pushes fill a batch of [`BATCH`] entries.
const PUSH: usize = 8;

/// Runs an operation with `count` jobs, of which `stored` are stored before.
pub async fn work(client: Client, what: &str, count: usize, stored: usize) -> Result<(), AnyError> {
    let broker = client.broker();
    match what {
        "enqueue" => {
            for n in 0..count {
                broker.enqueue(&prepared(n, Lane::Normal)?).await?;
            }
            Ok(())
        }
        "drain" | "drain-metrics" => {
            if what == "drain-metrics" {
                client.process_metrics();
            }
            fill(broker, Lane::Normal, stored).await?;
            claims(&client, count, true).await
        }
        "retry" => {
            fill(broker, Lane::Front, stored).await?;
            retries(&client, count).await
        }
        "poll" => {
            fill(broker, Lane::Normal, stored).await?;
            polls(broker, count).await
        }
        "push" => pushes(broker, count).await,
        _ => Err(format!("{what} cannot be counted").into()),
    }
}

/// Stores jobs in a lane.
async fn fill(broker: &Broker, lane: Lane, count: usize) -> Result<(), AnyError> {
    let jobs: Result<Vec<_>, _> = (0..count).map(|n| prepared(n, lane)).collect();
    for stored in broker.enqueue_many(&jobs?).await {
        stored?;
    }
    Ok(())
}

fn prepared(n: usize, lane: Lane) -> Result<PreparedJob, poolder::Error> {
    let mut prepared = PreparedJob::new(partition()?, envelope(n)?);
    prepared.lane = lane;
    Ok(prepared)
}

/// Lets jobs fail, wait in `due`, be promoted and complete. The jobs are claimed from the front
/// lane first. A failed job never returns there, so that the next claim gets the promoted jobs.
async fn retries(client: &Client, count: usize) -> Result<(), AnyError> {
    let mut consumer = Consumer::open(client).await?;
    let mut done = vec![];
    for _ in 0..count.div_ceil(BATCH) {
        let jobs = consumer.exchange(&done, Some(Lane::Front)).await?;
        let failed = consumer.settlements(jobs, failed);
        consumer.exchange(&failed, None).await?;
        let promotion = client.broker().promote(&partition()?).await?;
        if promotion.moved != BATCH as u64 {
            return Err(format!("{} jobs were promoted", promotion.moved).into());
        }
        let jobs = consumer.exchange(&[], Some(Lane::Normal)).await?;
        done = consumer.settlements(jobs, |_| Transition::Complete);
    }
    Ok(())
}

/// Returns the transition of a job that has failed, and is due at once.
fn failed(claim: &Claim) -> Transition {
    let failure = Failure::new(Cause::Error, "the service did not answer");
    let ending = Ending::Failed(failure, Verdict::Backoff(Duration::ZERO));
    decide(&Policy::default(), &claim.counters, ending, Facts::at(Timestamp::from_millis(1)))
}

/// Serves an addressed slot: each poll completes the jobs of the poll before and claims the next.
async fn polls(broker: &Broker, count: usize) -> Result<(), AnyError> {
    let node: NodeName = "guard".into();
    let AcquireReply::Ours(lease) = broker.acquire_slot(&partition()?, &node, None).await? else {
        return Err("the slot is not free".into());
    };
    let mut done = vec![];
    for _ in 0..count.div_ceil(POLL) {
        let request = PollRequest {
            complete: &done,
            lane: Lane::Normal,
            claim: POLL,
            generation: 1,
            open: true,
            known: true,
            ..PollRequest::default()
        };
        let reply = broker.poll_slot(&lease, &request).await?;
        match reply.result {
            SlotPoll::Claimed(entries) if reply.completed == done.len() => {
                let entry = |entry| match entry {
                    Entry::Job(claim) => Ok(claim.entry),
                    Entry::Undecodable(found) => Err(format!("{found:?} is not a job")),
                };
                done = entries.into_iter().map(entry).collect::<Result<_, _>>()?;
            }
            other => return Err(format!("a poll completed {}, {other:?}", reply.completed).into()),
        }
    }
    Ok(())
}

/// Pushes entries into a batcher. Every eighth push fills a list, which is sealed.
async fn pushes(broker: &Broker, count: usize) -> Result<(), AnyError> {
    let home = BatcherHome::new("bench", "rows")?;
    let limit = u32::try_from(BATCH)?;
    let options = BatchOptions::default().limit(limit);
    broker.declare_batcher(&home, &options).await?;
    let entries = vec![vec![b'x'; 100]; PUSH];
    let calls = [PushCall { group: "", entries: &entries, end: ListEnd::Back, token: None }];
    for push in 1..=count.div_ceil(PUSH) {
        let sealed = u64::from(push % (BATCH / PUSH) == 0);
        let expected = PushedEntries { stored: PUSH, sealed, verdict: PushVerdict::Stored };
        for pushed in broker.push_entries(&home, &options, &calls).await {
            let pushed = pushed?;
            if pushed != expected {
                return Err(format!("push {push} gave {pushed:?}").into());
            }
        }
    }
    Ok(())
}
