//! Jobs that wait in the groups of a limited queue, as operators see and change them.

use std::collections::BTreeSet;
use std::time::Duration;

use poolder::{
    Action, Cancellation, Handle, JobId, JobState, JobView, Lane, Listing, Overlap, QueueLimits,
    Timestamp, Unique, Why,
};
use poolder_core::broker::{ClaimConnection, Settled, Settlement};
use poolder_core::policy::decide::{Return, Transition};
use poolder_core::{Claim, Partition, Place};

use crate::harness::{Number, Space};

/// Limits the queue, and lets 30 jobs wait in three groups; nothing runs.
async fn waiting(name: &str) -> (Space, Vec<Handle>) {
    let space = Space::new(name);
    let limits = QueueLimits::new().concurrency(9).group_concurrency(2);
    space.client.limits("q").set(limits).await.unwrap();
    let mut handles = vec![];
    for number in 0..30 {
        let job = space.client.enqueue(Number(number)).group(format!("t/{}", number % 3));
        handles.push(job.await.unwrap().handle());
    }
    (space, handles)
}

/// Returns all jobs that wait, by pages of so many.
async fn listed(space: &Space, most: usize) -> Vec<JobView> {
    let (inspector, mut jobs, mut after) = (space.client.inspect("q"), vec![], None);
    loop {
        let page = inspector.waiting(after.as_ref(), most).await.unwrap();
        assert!(page.jobs.len() <= most + 20, "{}", page.jobs.len());
        jobs.extend(page.jobs);
        let Some(next) = page.next else { return jobs };
        after = Some(next.to_string().parse().unwrap());
    }
}

#[tokio::test]
async fn jobs_in_groups_are_counted_listed_found_and_explained() {
    let (space, handles) = waiting("limits-seen").await;
    let plain = space.client.enqueue(Number(99)).await.unwrap().handle();
    assert!(matches!(&handles[4].place, Some(Place::Group(group, _)) if **group == *"t/1"));
    let view = space.client.inspect("q").overview().await.unwrap();
    assert_eq!((view.ready(), view.grouped), (31, 30));
    for most in [1, 7, 500] {
        let jobs = listed(&space, most).await;
        let ids: BTreeSet<JobId> = jobs.iter().map(JobView::id).collect();
        assert_eq!((jobs.len(), ids.len()), (31, 31), "{most}");
        assert!(jobs.iter().all(|job| job.state == JobState::Ready));
    }
    for handle in [&handles[4], &Handle { place: None, ..handles[4].clone() }] {
        let found = space.client.job(handle.to_string()).view().await.unwrap().unwrap();
        assert_eq!((found.id(), found.group()), (handles[4].job, Some("t/1")));
        assert_eq!(found.handle, handles[4]);
    }
    let found = space.client.find(handles[4].job).await.unwrap();
    assert_eq!(found.job.unwrap().handle, handles[4], "searched in all queues");
    let found = space.client.find(plain.job).await.unwrap();
    assert_eq!(found.job.unwrap().handle, plain, "the job of a lane is still found");

    let why = space.client.job(&handles[4]).explain().await.unwrap();
    let check = |name: &str| why.checks.iter().find(|check| check.name == name).unwrap().clone();
    assert_eq!(check("group").text, "it waits for group t/1: 1 job before it, limit: 0 of 2 taken");
    assert_eq!(why.verdict, Why::Unserved, "{why}");
    let mut connection = space.connection("q", "n1").await;
    let (claimed, _) = connection.admit(&[], 9, false).await.unwrap();
    assert_eq!(claimed.claimed.unwrap().len(), 6, "two of each group");
    let about = r#","kinds":[{"queue":"q","name":"number","version":1}],"limits":true"#;
    space.enter("n1", 0, 9, about).await;
    let why = space.client.job(&handles[10]).explain().await.unwrap();
    assert_eq!(why.verdict, Why::GroupFull, "{why}");
    assert!(why.reason.contains("limit: 2 of 2 taken"), "{}", why.reason);
    space.client.limits("q").set(QueueLimits::new().concurrency(6)).await.unwrap();
    let why = space.client.job(&handles[6]).explain().await.unwrap();
    assert_eq!(why.verdict, Why::QueueFull, "{why}");
}

#[tokio::test]
async fn jobs_in_groups_are_cancelled_put_off_buried_and_deleted() {
    let (space, handles) = waiting("limits-changed").await;
    let by_id = |at: usize| Handle { place: None, ..handles[at].clone() };
    assert_eq!(space.client.job(&handles[0]).cancel().await.unwrap(), Cancellation::Removed);
    assert_eq!(space.client.job(by_id(1)).cancel().await.unwrap(), Cancellation::Removed);
    space.client.job(&handles[2]).remove().await.unwrap();
    let later = Timestamp::now() + Duration::from_secs(3_600);
    space.client.job(by_id(3)).reschedule(later).await.unwrap();
    let view = space.client.job(by_id(3)).view().await.unwrap().unwrap();
    assert_eq!((view.state, view.group()), (JobState::Scheduled, Some("t/0")));
    space.client.job(by_id(4)).bury("no").await.unwrap();
    space.client.job(by_id(5)).run_now().await.unwrap();
    let view = space.client.inspect("q").overview().await.unwrap();
    assert_eq!((view.grouped, view.due, view.dead), (25, 1, 1));
    let gone = space.client.job(&handles[0]).view().await.unwrap();
    assert!(gone.is_none(), "{gone:?}");

    let revived = space.client.job(by_id(4)).revive().await;
    revived.unwrap();
    space.client.broker().sort(&partition(), &mut Default::default()).await.unwrap();
    assert_eq!(space.client.inspect("q").overview().await.unwrap().grouped, 26);

    // The other jobs of a group from which one was taken are claimed, and none is lost.
    space.client.limits("q").set(QueueLimits::new()).await.unwrap();
    let mut connection = space.connection("q", "n1").await;
    let (exchange, _) = connection.admit(&[], 20, false).await.unwrap();
    assert_eq!(exchange.claimed.unwrap().len(), 20);
    let filter = "kind=number".parse().unwrap();
    let report = space.client.inspect("q").bulk(Listing::Ready, &filter, Action::Delete);
    let report = report.await.unwrap();
    assert_eq!(report.changed, 6);
    assert_eq!(space.client.inspect("q").drain().await.unwrap(), 1, "the one that waits");
    let view = space.client.inspect("q").overview().await.unwrap();
    assert_eq!((view.ready(), view.running(), view.due), (0, 20, 0));
}

/// Claims jobs, and hands them back as a node that stops does: they wait in the lane front, and keep
/// their permits.
async fn handed_back(space: &Space, connection: &mut ClaimConnection, count: usize) -> Vec<Handle> {
    let (exchange, _) = connection.admit(&[], 20, false).await.unwrap();
    let claims = exchange.claimed.unwrap().jobs;
    assert_eq!(claims.len(), count);
    let back = |claim: &Claim| {
        let (lane, counters) = (Lane::Front, claim.counters.clone());
        let ready = Transition::Ready { lane, counters, why: Return::Release };
        Settlement::new(claim.clone(), "n1".into(), connection.history(), ready)
    };
    let settlements: Vec<_> = claims.iter().map(back).collect();
    let broker = space.client.broker();
    let settled = broker.settle(&partition(), Default::default(), &settlements).await;
    assert!(settled.iter().all(|it| matches!(it, Settled::Applied)));
    let handle =
        |claim: &Claim| Handle { partition: partition(), job: claim.job_id(), place: None };
    claims.iter().map(handle).collect()
}

#[tokio::test]
async fn a_job_that_waits_to_run_again_gives_its_permit_back_when_an_operator_changes_it() {
    let space = Space::new("limits-again");
    space.client.limits("q").set(QueueLimits::new().group_concurrency(1)).await.unwrap();
    for number in 0..10 {
        let job = space.client.enqueue(Number(number)).group(format!("g{}", number % 5));
        job.await.unwrap();
    }
    let mut connection = space.connection("q", "n1").await;
    let again = handed_back(&space, &mut connection, 5).await;
    let later = Timestamp::now() + Duration::from_secs(3_600);
    let job = |at: usize| space.client.job(&again[at]);
    assert_eq!(job(0).cancel().await.unwrap(), Cancellation::Removed);
    job(1).remove().await.unwrap();
    job(2).bury("no").await.unwrap();
    job(3).reschedule(later).await.unwrap();
    let (exchange, _) = connection.admit(&[], 20, false).await.unwrap();
    assert_eq!(exchange.claimed.unwrap().len(), 5, "the one that is left, and four others");
    // The one that was put off waits for the one of its group that runs.
    let due = Some(later + Duration::from_secs(1));
    space.client.broker().promote_as_of(&partition(), due).await.unwrap();
    space.client.broker().sort(&partition(), &mut Default::default()).await.unwrap();
    let found = job(3).view().await.unwrap().unwrap();
    assert!(matches!(found.handle.place, Some(Place::Group(..))), "{:?}", found.handle);
    let (exchange, _) = connection.admit(&[], 20, false).await.unwrap();
    assert!(exchange.claimed.unwrap().is_empty());
}

#[tokio::test]
async fn a_unique_job_whose_data_is_replaced_keeps_its_permit() {
    let space = Space::new("limits-replaced");
    space.client.limits("q").set(QueueLimits::new().group_concurrency(1)).await.unwrap();
    let enqueue = async |number| {
        let rule = Unique::until_done().by(&"one").replace();
        space.client.enqueue(Number(number)).unique(rule).group("a").await.unwrap()
    };
    enqueue(1).await;
    space.client.enqueue(Number(2)).group("a").lane(Lane::Low).await.unwrap();
    space.client.broker().sort(&partition(), &mut Default::default()).await.unwrap();
    let mut connection = space.connection("q", "n1").await;
    handed_back(&space, &mut connection, 1).await;
    let second = enqueue(3).await;
    assert!(matches!(second.stored, poolder::Stored::Replaced(_)), "{second:?}");
    let (exchange, _) = connection.admit(&[], 20, false).await.unwrap();
    let claims = exchange.claimed.unwrap().jobs;
    let [claim] = claims.as_slice() else { panic!("the other one waits: {claims:?}") };
    assert_eq!((claim.job_id(), claim.group()), (second.job, Some("a")));
    let mut overview = space.client.inspect("q").overview().await.unwrap();
    assert_eq!((overview.grouped, overview.running()), (1, 1));
    let history = connection.history();
    let done = Settlement::new(claim.clone(), "n1".into(), history, Transition::Complete);
    let (exchange, _) = connection.admit(&[done], 20, false).await.unwrap();
    assert_eq!(exchange.claimed.unwrap().len(), 1);
    overview = space.client.inspect("q").overview().await.unwrap();
    assert_eq!((overview.grouped, overview.running()), (0, 1));
}

fn partition() -> Partition {
    Partition::first(poolder::QueueName::new("q").unwrap())
}

#[tokio::test]
async fn a_purge_of_many_jobs_in_groups_leaves_none_and_the_groups_go_on() {
    let space = Space::new("limits-purge");
    space.client.limits("q").set(QueueLimits::new().group_concurrency(1)).await.unwrap();
    let many = (0..3_000).map(Number).collect::<Vec<_>>();
    for (at, some) in many.chunks(1_000).enumerate() {
        let sent = space.client.enqueue_many(some.to_vec()).group(format!("g{at}")).await;
        assert!(sent.iter().all(Result::is_ok));
    }
    let view = space.client.inspect("q").overview().await.unwrap();
    assert_eq!(view.grouped, 3_000, "a bulk goes straight into its group");
    assert_eq!(space.client.inspect("q").drain().await.unwrap(), 3_000);
    let keys: Vec<String> =
        space.redis(redis::cmd("HKEYS").arg(space.key("q", "limits:groups"))).await;
    assert_eq!(keys, ["\0"], "groups without jobs take no memory");
    space.client.enqueue(Number(1)).group("g1").await.unwrap();
    let mut connection = space.connection("q", "n1").await;
    let (exchange, _) = connection.admit(&[], 5, false).await.unwrap();
    assert_eq!(exchange.claimed.unwrap().len(), 1);
}

#[tokio::test]
async fn a_schedule_whose_job_waits_in_its_group_enqueues_no_second_one() {
    let space = Space::new("limits-tick");
    space.client.limits("q").set(QueueLimits::new().group_concurrency(1)).await.unwrap();
    let minute = Duration::from_secs(60);
    let new = space.client.schedule("beat", minute, Number(7)).group("a");
    new.overlap(Overlap::Skip).await.unwrap();
    let broker = space.client.broker();
    let ticks = async |minutes: u32| {
        let at = Timestamp::now() + minute * minutes;
        let published = broker.publish_ticks_as_of(&partition(), "n1", Some(at)).await.unwrap();
        broker.sort(&partition(), &mut Default::default()).await.unwrap();
        published.jobs
    };
    assert_eq!(ticks(2).await, 1);
    let waits = listed(&space, 5).await.remove(0);
    assert!(matches!(waits.handle.place, Some(Place::Group(..))), "{waits:?}");
    assert_eq!(ticks(4).await, 0, "the one before it waits in its group");
    space.client.job(&waits.handle).remove().await.unwrap();
    assert_eq!(ticks(6).await, 1);
}
