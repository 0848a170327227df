//! What the examples do.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{JobResult, JobState};
use tokio::sync::mpsc;

use crate::broadcast::{Cache, Invalidate};
use crate::hello::{Hello, Ran, hello};
use crate::ordering::{Accounts, Change};
use crate::seed::{Entry, MyBatcher, MyPool, Work};
use crate::shop::{Charge, Report, Visit};
use crate::stage::Stage;
use crate::store::Store;
use crate::web::Welcome;

pub(crate) async fn a_hello_is_said(mut stage: Stage) {
    let (ran, mut told) = mpsc::channel(1);
    let receipt = stage.client().enqueue(Hello { name: "world".into() }).await.unwrap();
    let job = stage.client().job(&receipt);
    assert_eq!(job.state().await.unwrap(), Some(JobState::Ready));
    let pool = Pool::new("hello").size(2).state(Ran(ran)).worker(worker_fn(hello));
    stage.start(stage.node().pool(pool)).await;
    stage.during(told.recv()).await.unwrap();
    while job.state().await.unwrap().is_some() {
        stage.work().await;
    }
    assert_eq!(job.result::<()>().await.unwrap(), JobResult::NotFound);
}

pub(crate) async fn changes_of_an_account_keep_their_order(mut stage: Stage) {
    let accounts = Accounts::default();
    let happened = accounts.happened.clone();
    let error = stage.client().pool::<Change>("accounts").size().await.unwrap_err();
    assert!(error.is_not_found());
    stage.start(stage.node().add(accounts)).await;
    let pool = Accounts::on(stage.client());
    assert_eq!(pool.size().await.unwrap(), 4);
    for number in 0..10 {
        for account in 0..3 {
            pool.cast(Change { account, number }).key(format!("{account}")).await.unwrap();
        }
    }
    let all = || happened.lock().unwrap().values().map(Vec::len).sum::<usize>() == 30;
    stage.until("all changes have happened", all).await;
    let happened = happened.lock().unwrap();
    assert!(happened.values().all(|numbers| *numbers == (0..10).collect::<Vec<_>>()));
}

pub(crate) async fn an_invalidation_reaches_the_cache(mut stage: Stage) {
    let cache = Cache::full();
    stage.start(stage.node().add(cache.clone())).await;
    let pool = Cache::on(stage.client());
    // A process receives only broadcasts that are cast after its reader has begun.
    while cache.has("a") {
        pool.cast(Invalidate { key: "a".into() }).await.unwrap();
        stage.work().await;
    }
    pool.cast(Invalidate { key: "b".into() }).await.unwrap();
    stage.until("b is gone", || !cache.has("b")).await;
    assert!(cache.has("c"));
    let call = pool.call::<()>(Invalidate { key: "c".into() }).await;
    assert!(call.unwrap_err().is_invalid(), "a broadcast has no reply");
}

pub(crate) async fn a_new_user_is_welcomed(mut stage: Stage) {
    let (tell, mut told) = mpsc::channel(1);
    let minute = Duration::from_secs(60);
    let welcome = || Welcome { name: "Ada".into() };
    let once = || stage.client().enqueue(welcome()).id("ada").idempotent(minute);
    let receipt = once().keep_completion(minute).await.unwrap();
    assert_eq!(once().await.unwrap().job, receipt.job);
    let later = stage.client().enqueue(welcome()).after(minute * 60).await.unwrap();
    let later = stage.client().job(&later);
    assert_eq!(later.state().await.unwrap(), Some(JobState::Scheduled));
    later.remove().await.unwrap();
    assert!(later.remove().await.unwrap_err().is_not_found());
    stage.start(stage.node().pool(crate::web::pool(Some(tell)))).await;
    stage.during(told.recv()).await.unwrap();
    let job = stage.client().job(&receipt);
    stage.during(job.wait::<()>().into_future()).await.unwrap();
    assert_eq!(job.result::<()>().await.unwrap(), JobResult::NoValue);
    assert!(told.try_recv().is_err(), "it was enqueued once");
}

pub(crate) async fn an_order_is_charged_shipped_and_reported(mut stage: Stage) {
    let store = Store::default();
    stage.start(crate::shop::node(stage.node(), store.clone())).await;
    let client = stage.client().clone();
    let charge = |order: &str, cents| {
        let job = Charge { order: order.into(), cents };
        client.enqueue(job).keep_completion(Duration::from_secs(60))
    };
    let paid = charge("o-1", 450).await.unwrap();
    let refused = charge("o-2", 0).await.unwrap();
    let once = Policy::default().attempts(1);
    let closed = charge("o-3", 1_000_000).policy(once).await.unwrap();
    stage.until("the parcel is sent", || store.shipped() == ["o-1"]).await;

    let (paid, refused, closed) = (client.job(&paid), client.job(&refused), client.job(&closed));
    stage.during(paid.wait::<()>().into_future()).await.unwrap();
    let error = stage.during(refused.wait::<()>().into_future()).await.unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains("402"), "{error}");
    let error = stage.during(closed.wait::<()>().into_future()).await.unwrap_err();
    assert!(error.is_dead() && error.to_string().contains("503"), "{error}");
    assert_eq!(closed.state().await.unwrap(), Some(JobState::Dead));
    assert_eq!(closed.view().await.unwrap().unwrap().counters.failures, 1);

    let schedules = client.schedules("reports");
    let known = schedules.list().await.unwrap();
    assert_eq!((known.len(), known[0].schedule.job.kind()), (1, "report.day"));
    schedules.run_now(&known[0].name).await.unwrap();
    stage.until("the report is written", || store.reports() == [450]).await;
    client.enqueue(Report {}).await.unwrap();
    stage.until("the report is written again", || store.reports() == [450, 450]).await;
}

pub(crate) async fn visits_are_counted_in_batches(mut stage: Stage) {
    let store = Store::default();
    let visits = stage.client().batcher("visits");
    let visit = || Visit { item: "tea".into() };
    assert!(visits.push(visit()).await.unwrap_err().is_not_found(), "no node has declared it");
    stage.start(crate::shop::node(stage.node(), store.clone())).await;
    let bulk = visits.push_many((0..130).map(|_| visit())).await;
    assert_eq!((bulk.stored, bulk.sealed, bulk.error.is_none()), (130, 1, true));
    stage.until("all visits are counted", || store.visits() == 130).await;
    assert!(visits.is_empty().await.unwrap());
    assert!(visits.flush().await.unwrap().is_none());
}

pub(crate) async fn the_slots_of_the_seed_keep_their_state(mut stage: Stage) {
    stage.start(stage.node().add(MyPool::default()).add(MyBatcher)).await;
    let pool = MyPool::on(stage.client());
    // The first attempt fails, after which the slot has key 5, and so does the second.
    pool.slot(5).cast(Work::HardworkNotify { message: "unlucky".into() }).await.unwrap();
    let push = || Work::Push { channel: "lobby".into(), message: "Hello!".into() };
    let call = pool.slot(5).call::<String>(push()).into_future();
    let reply = stage.during(call).await.unwrap();
    assert!(reply.starts_with("Push {") && reply.ends_with("with key 5"), "{reply}");
    let call = pool.slot(4).call::<String>(push()).into_future();
    let reply = stage.during(call).await.unwrap();
    assert!(reply.ends_with("with key 0"), "{reply}");

    let batcher = MyBatcher::on(stage.client());
    batcher.push(Entry::Number(5)).await.unwrap();
    batcher.push(Entry::City("Amsterdam".into())).await.unwrap();
    let batch = batcher.flush().await.unwrap().unwrap();
    let job = stage.client().job(batch.in_queue("mybatcher"));
    while job.state().await.unwrap().is_some() {
        stage.work().await;
    }
    assert!(batcher.list_sealed(batch, 0).await.unwrap().is_empty());
}
