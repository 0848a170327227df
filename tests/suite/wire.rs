//! Jobs with options that this version does not know, as a newer node would store them.

use std::time::{Duration, SystemTime};

use poolder::prelude::*;
use poolder::{Cause, Envelope, Format, JobId, payload};
use serde_json::json;
use tokio::sync::mpsc;

use crate::harness::{Number, Space, start, teller, within};

/// How long each attempt takes at least.
const WORK: Duration = Duration::from_millis(5);

/// An option that a node may ignore: `"zz": 7`, in a form that is longer than it must be.
const IGNORABLE: &[u8] = b"\xa2zz\xcd\x00\x07";

/// Adds a job with these options of a later version to a queue, and returns its id.
async fn add(space: &Space, number: u64, policy: &Policy, options: &[&[u8]]) -> JobId {
    let id = JobId::generate();
    let write = |out: &mut Vec<u8>| payload::encode(&Number(number), out);
    let built = Envelope::build(id, "number", 1, Some(policy), Format::MessagePack, write).unwrap();
    let mut raw = built.as_bytes().to_vec();
    let at = 19 + "number".len();
    let known = if raw[1] & 1 == 0 {
        vec![0x80]
    } else {
        let length = usize::from(u16::from_be_bytes([raw[at], raw[at + 1]]));
        raw.drain(at..at + 2 + length).skip(2).collect()
    };
    raw[1] |= 1;
    let count = known[0] + u8::try_from(options.len()).unwrap();
    let map = [&[count], &known[1..], &options.concat()].concat();
    let length = u16::try_from(map.len()).unwrap().to_be_bytes();
    raw.splice(at..at, [&length, map.as_slice()].concat());
    let mut cmd = redis::cmd("XADD");
    cmd.arg(space.key("q", "ready:normal")).arg("*").arg("j").arg(raw);
    space.redis::<String>(&mut cmd).await;
    id
}

/// Returns true when the only body in this hash has the option, as it was stored first.
async fn kept(space: &Space, hash: &str) -> bool {
    let mut cmd = redis::cmd("HVALS");
    cmd.arg(space.key("q", hash));
    let bodies: Vec<Vec<u8>> = space.redis(&mut cmd).await;
    let [body] = bodies.as_slice() else { panic!("{} bodies", bodies.len()) };
    body.windows(IGNORABLE.len()).any(|bytes| bytes == IGNORABLE)
}

#[tokio::test]
async fn a_node_hands_back_a_job_with_an_option_that_it_must_understand() {
    let space = Space::new("requirement");
    let options: [&[u8]; 3] = [b"\xa1U\xc4\x02\x09x", b"\xa1F\x81\xa1n\x01", b"\xa3Zoo\xc0"];
    let policy = Policy::default().attempts(1);
    let mut jobs = vec![];
    for option in options {
        jobs.push(add(&space, 1, &policy, &[IGNORABLE, option]).await);
    }
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    space.until_count("q", "not_for_us", 3).await;
    let queue = space.client.inspect("q");
    let waiting = queue.due(None, 10).await.unwrap().jobs;
    // A job whose first wait is over may be with the node again.
    for view in &waiting {
        assert!(jobs.contains(&view.id()));
        assert_eq!((view.counters.failures, view.counters.crashes, view.attempt()), (0, 0, 1));
        assert!(view.counters.deliveries > 0 && view.attempts().is_empty());
    }
    // The jobs are tried again later, like those of an unknown kind.
    space.until_count("q", "not_for_us", 6).await;
    node.stop().await;
    assert!(told.try_recv().is_err(), "no handler has seen them");
    assert_eq!(space.due("q").await + space.ready("q").await, 3);
    assert_eq!(space.overview("q").await.dead, 0);
}

#[tokio::test]
async fn an_option_that_may_be_ignored_survives_everything() {
    let space = Space::new("ignorable");
    let policy = Policy::default().attempts(2).backoff(Backoff::Fixed(Duration::from_millis(1)));
    let id = add(&space, 7, &policy, &[IGNORABLE]).await;
    let (tell, mut told) = mpsc::channel(10);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send((job.0, cx.attempt())).await?;
            tokio::time::sleep(WORK).await;
            match (job.0, cx.fence()) {
                (8, _) => Ok::<_, BoxError>(Done),
                (_, 2) => Ok(Snooze(Duration::from_millis(1))),
                (_, fence) => Err(format!("no luck with fence {fence}").into()),
            }
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker.clone())));
    // A retry, a snooze, and the end of the attempts.
    for attempt in [1, 2, 2] {
        assert_eq!(within(told.recv()).await.unwrap(), (7, attempt));
    }
    space.until_count("q", "buried", 1).await;
    node.stop().await;
    assert!(kept(&space, "dead:bodies").await);

    let queue = space.client.inspect("q");
    let [dead] = queue.dead(None, 10).await.unwrap().jobs.try_into().unwrap();
    let attempts = dead.attempts();
    assert_eq!((dead.id(), attempts.len()), (id, 2));
    assert!(attempts.iter().all(|it| it.cause == Cause::Error && !it.node.is_empty()));
    let minute = Duration::from_secs(60);
    assert!(attempts.iter().all(|it| it.took >= WORK && it.took < minute));
    assert!(attempts.iter().all(|it| it.at > dead.at - minute && it.at < dead.at + minute));
    assert_eq!(attempts[0].fingerprint, attempts[1].fingerprint, "the errors differ by a number");

    space.client.job(&dead.handle).edit_and_revive(&json!(8)).await.unwrap();
    let [ready] = queue.ready(Lane::Normal, None, 10).await.unwrap().jobs.try_into().unwrap();
    space
        .client
        .job(&ready.handle)
        .reschedule(SystemTime::now() + Duration::from_secs(600))
        .await
        .unwrap();
    assert!(kept(&space, "bodies").await);
    let [due] = queue.due(None, 10).await.unwrap().jobs.try_into().unwrap();
    assert_eq!(due.policy(), policy, "the known options are kept as well");
    assert_eq!(due.attempts(), attempts);
    space.client.job(&due.handle).run_now().await.unwrap();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap(), (8, 1));
    space.until_count("q", "completed", 1).await;
    node.stop().await;
}
