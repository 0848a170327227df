//! What the assertions match, and what they print.

use std::time::Duration;

use poolder::prelude::*;
use poolder::testing::{TestQueue, assert_enqueued, refute_enqueued};
use poolder::{EnqueueMiddleware, Headers, Outgoing, Timestamp};

use crate::{Charge, Welcome, panic_of};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_job_is_matched_by_its_value_and_each_of_its_options() {
    let queue = TestQueue::new();
    let client = queue.client();
    client.enqueue(Welcome { user: 1 }).await.unwrap();
    let second = client.enqueue(Welcome { user: 2 }).queue("slow").lane(Lane::Low).after(MINUTE);
    let receipt = second.id("w-2").header("tenant", "acme").await.unwrap();

    assert_enqueued!(queue, Welcome { .. });
    assert_enqueued!(queue, Welcome { user: 1 }, queue = "mail", after = Duration::ZERO);
    let job = assert_enqueued!(
        queue,
        Welcome { user } if *user == 2,
        queue = "slow",
        lane = Lane::Low,
        after = MINUTE,
        at = queue.now() + MINUTE,
        id = "w-2",
        header = ("tenant", "acme"),
        times = 1,
    );
    assert_eq!((job.id(), job.policy().attempts), (receipt.job, 5));
    assert_eq!(job.payload_json().unwrap()["user"], 2);

    refute_enqueued!(queue, Charge { .. });
    refute_enqueued!(queue, Welcome { user: 3.. });
    refute_enqueued!(queue, Welcome { user: 2 }, queue = "mail");
    refute_enqueued!(queue, Welcome { user: 2 }, lane = Lane::High);
    refute_enqueued!(queue, Welcome { user: 2 }, after = MINUTE * 2);
    refute_enqueued!(queue, Welcome { user: 2 }, at = Timestamp::from_millis(5));
    refute_enqueued!(queue, Welcome { user: 2 }, id = "w-3");
    refute_enqueued!(queue, Welcome { user: 2 }, header = ("tenant", "other"));
    assert_enqueued!(queue, Welcome { .. }, times = 2);
    assert_eq!(queue.enqueued::<Welcome>(), [Welcome { user: 1 }, Welcome { user: 2 }]);
}

#[tokio::test]
async fn a_failure_shows_what_was_enqueued() {
    let queue = TestQueue::new();
    let client = queue.client();
    client.enqueue(Welcome { user: 7 }).await.unwrap();
    let charge = client.enqueue(Charge { amount: 100 }).lane(Lane::High).after(MINUTE);
    charge.headers(Headers::new().with("tenant", "acme")).await.unwrap();
    let table = "\
        \n  kind     queue     lane    after  state      payload         headers\
        \n  welcome  mail      normal         ready      {\"user\":7}\
        \n  charge   payments  high    60s    scheduled  {\"amount\":100}  tenant: acme";

    let of = queue.clone();
    let none = panic_of(async move {
        assert_enqueued!(of, Welcome { user } if *user == 8, queue = "mail");
    });
    let expected = "no job was enqueued as Welcome { user } if *user == 8, queue = \"mail\"";
    assert_eq!(none.await, format!("{expected}{table}"));

    let of = queue.clone();
    let some = panic_of(async move { refute_enqueued!(of, Charge { .. }) });
    assert_eq!(some.await, format!("{}{table}", "1 job was enqueued as Charge { .. }"));

    let of = queue.clone();
    let more = panic_of(async move {
        assert_enqueued!(of, Welcome { .. }, times = 2);
    });
    let expected = "1 job was enqueued, not 2, as Welcome { .. }, times = 2";
    assert_eq!(more.await, format!("{expected}{table}"));

    let empty = panic_of(async {
        assert_enqueued!(TestQueue::new(), Welcome { .. });
    });
    let expected = "no job was enqueued as Welcome { .. }\nno job was enqueued at all";
    assert_eq!(empty.await, expected);
}

#[tokio::test]
async fn a_long_table_is_cut() {
    let queue = TestQueue::new();
    let long = "x".repeat(100);
    let jobs = (0..60).map(|user| Welcome { user });
    queue.client().enqueue_many(jobs).header("note", &long).await;
    let text = panic_of(async move {
        assert_enqueued!(queue, Charge { .. });
    });
    let text = text.await;
    assert_eq!(text.lines().count(), 53, "the sentence, a head, 50 jobs, and the rest");
    assert!(text.ends_with("  and 10 more"), "{text}");
    assert!(text.contains(&format!("note: {}…\n", "x".repeat(54))), "{text}");
}

#[tokio::test]
async fn a_job_that_production_refuses_is_refused_and_not_stored() {
    let queue = TestQueue::new();
    let client = queue.client().clone().middleware(Tenant);
    let huge = Huge { text: "x".repeat(poolder::MAX_PAYLOAD + 1) };
    assert!(client.enqueue(huge).await.unwrap_err().is_too_large());
    let job = || client.enqueue(Welcome { user: 1 });
    assert!(job().queue("no spaces").await.unwrap_err().is_invalid());
    assert!(job().lane(Lane::Front).await.unwrap_err().is_invalid());
    assert!(job().header("Bad", "x").await.unwrap_err().is_invalid());
    assert!(job().policy(Policy::default().attempts(0)).await.unwrap_err().is_invalid());
    let refused = job().queue("closed").await.unwrap_err();
    assert!(refused.to_string().contains("closed for the night"), "{refused}");
    assert!(queue.jobs().is_empty());
    job().await.unwrap();
    assert_enqueued!(queue, Welcome { user: 1 }, header = ("tenant", "acme"));
}

/// Adds a header, and refuses the jobs of one queue.
struct Tenant;

impl EnqueueMiddleware for Tenant {
    fn on_enqueue(&self, job: &mut Outgoing<'_>) -> Result<(), BoxError> {
        if job.queue() == "closed" {
            return Err("closed for the night".into());
        }
        job.headers_mut().insert("tenant", "acme");
        Ok(())
    }
}

#[derive(serde::Serialize, serde::Deserialize, Job)]
#[job(kind = "huge")]
struct Huge {
    text: String,
}

#[tokio::test]
async fn what_needs_a_server_says_so_and_names_the_test_server() {
    let queue = TestQueue::new();
    let client = queue.client();
    client.ping().await.unwrap();
    let inspected = client.inspect("mail").overview().await.unwrap_err();
    let nodes = client.nodes().await.unwrap_err();
    let pages = client.inspect("mail").dead(None, 10).await.unwrap_err();
    for error in [inspected, nodes, pages] {
        assert!(error.is_unsupported() && error.to_string().contains("TestServer"), "{error}");
    }
}

#[tokio::test]
async fn queues_of_tests_share_nothing() {
    let (one, other) = (TestQueue::new(), TestQueue::new());
    one.client().enqueue(Welcome { user: 1 }).await.unwrap();
    one.advance(MINUTE);
    refute_enqueued!(other, Welcome { .. });
    assert!(other.now() < one.now());
}
