//! Calls, which the test answers.

use poolder::prelude::*;
use poolder::testing::{TestQueue, assert_enqueued};

use crate::{Charge, Welcome};

#[tokio::test]
async fn a_call_is_answered_by_the_test_and_recorded() {
    let queue = TestQueue::new();
    queue.on_call(|job: Charge| match job.amount {
        0 => Err("nothing to charge".into()),
        amount => Ok(amount * 2),
    });
    let client = queue.client();
    assert_eq!(client.call::<_, u64>(Charge { amount: 21 }).await.unwrap(), 42);
    let error = client.call::<_, u64>(Charge { amount: 0 }).await.unwrap_err();
    assert!(error.is_dead() && error.to_string().contains("nothing to charge"), "{error}");
    assert!(client.call::<_, String>(Charge { amount: 1 }).await.unwrap_err().is_codec());
    assert_enqueued!(queue, Charge { .. }, times = 3);
}

#[tokio::test]
async fn an_answer_may_use_the_queue_itself() {
    let queue = TestQueue::new();
    let of = queue.clone();
    queue.on_call(move |_: Charge| Ok(of.enqueued::<Welcome>().len()));
    queue.client().enqueue(Welcome { user: 1 }).await.unwrap();
    assert_eq!(queue.client().call::<_, usize>(Charge { amount: 1 }).await.unwrap(), 1);
}

#[tokio::test]
async fn a_call_of_a_pool_is_answered_as_well() {
    let queue = TestQueue::new();
    let pool = Pool::new("mail").mode(Mode::RoundRobin).size(2);
    let pool = pool.worker(worker_fn(|_: Welcome| async {}));
    queue.start_node(queue.node().pool(pool)).await;
    queue.on_call(|job: Welcome| Ok(job.user));
    let called = queue.client().pool::<Welcome>("mail").slot(1).call::<u64>(Welcome { user: 7 });
    assert_eq!(called.await.unwrap(), 7);
    assert_enqueued!(queue, Welcome { user: 7 }, slot = 1);
}

#[tokio::test]
async fn a_call_without_an_answer_says_how_to_give_one() {
    let queue = TestQueue::new();
    let error = queue.client().call::<_, ()>(Welcome { user: 1 }).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("TestQueue::on_call"), "{error}");
    assert!(queue.jobs().is_empty());
}

#[tokio::test]
async fn a_call_without_an_answer_is_run_by_a_node() {
    let queue = TestQueue::new();
    let double = |job: Welcome| async move { Return(job.user * 2) };
    let pool = Pool::new("mail").worker(worker_fn(double));
    let node = queue.start_node(queue.node().pool(pool)).await;
    let call = queue.client().call::<_, u64>(Welcome { user: 21 }).into_future();
    let (answer, sums) = tokio::join!(call, node.drain().into_future());
    assert_eq!((answer.unwrap(), sums.done), (42, 1));
}
