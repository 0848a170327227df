//! Jobs are found by filters and by their ids alone, and changed in bulk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use poolder::prelude::*;
use poolder::{
    Action, Budget, BulkReport, Filter, JobState, JobView, Listing, QueueName, Timestamp,
};
use poolder_core::policy::dispatch::Mode as PoolMode;
use serde::{Deserialize, Serialize};

use crate::harness::{Number, Space, eventually, start, within};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "mail.welcome", queue = "q")]
struct Welcome {
    user: u64,
    tags: Vec<String>,
}

fn welcome(user: u64) -> Welcome {
    Welcome { user, tags: vec!["a b".into(), user.to_string()] }
}

fn filter(text: &str) -> Filter {
    text.parse().unwrap()
}

fn users(jobs: &[JobView]) -> Vec<u64> {
    jobs.iter().map(|job| job.payload_json().unwrap()["user"].as_u64().unwrap()).collect()
}

/// Lets welcomes die: those of odd users with one error, the others with another.
async fn let_die(space: &Space, users: std::ops::Range<u64>) {
    let fail = worker_fn(|job: Welcome, _: Context| async move {
        let why = if job.user % 2 == 1 { "SMTP 451 mailbox" } else { "no such column" };
        Err::<Outcome, BoxError>(format!("{why} {}", job.user).into())
    });
    let count = users.end - users.start;
    for user in users {
        let job = space.client.enqueue(welcome(user)).policy(Policy::default().attempts(1));
        job.header("tenant", if user < 4 { "acme" } else { "other" }).await.unwrap();
    }
    let node = start(space.node().pool(Pool::new("q").size(2).worker(fail)));
    eventually("all are dead", || async { space.overview("q").await.dead == count }).await;
    node.stop().await;
}

#[tokio::test]
async fn a_search_finds_what_satisfies_each_condition() {
    let space = Space::new("search");
    let_die(&space, 0..10).await;
    let queue = space.client.inspect("q");
    let find = async |text: &str| {
        let found = queue.find_where(Listing::Dead, &filter(text), None, Budget::default()).await;
        let found = found.unwrap();
        assert_eq!((found.looked_at, found.of, found.next), (10, 10, None), "{text}");
        let mut users = users(&found.jobs);
        users.sort_unstable();
        users
    };
    let all: Vec<u64> = (0..10).collect();
    let odd: Vec<u64> = vec![1, 3, 5, 7, 9];
    assert_eq!(find("").await, all);
    assert_eq!(find("kind=mail.* attempt=1 attempt<2").await, all);
    assert_eq!(find("kind=mail.bye,number").await, Vec::<u64>::new());
    assert_eq!(find("error~smtp").await, odd);
    assert_eq!(find(r#"error~"Such Column" payload.user=4"#).await, [4]);
    assert_eq!(find(r#"payload.tags.0="a b" payload.tags.1=7"#).await, [7]);
    assert_eq!(find(r#"payload.user="7""#).await, Vec::<u64>::new(), "a number is no string");
    assert_eq!(find("header.tenant=acme").await, [0, 1, 2, 3]);
    assert_eq!(find("age<1h").await, all);
    assert_eq!(find("age>1h").await, Vec::<u64>::new());
    assert_eq!(find("schedule=nightly").await, Vec::<u64>::new());
    let one = queue.dead(None, 1).await.unwrap().jobs.remove(0);
    let group = one.error().unwrap();
    assert_eq!(Some(group), one.attempts().last().map(|last| last.error("mail.welcome")));
    assert_eq!(find(&format!("error={group}")).await.len(), 5);
    // The group of errors in the history has the same id, and so have all forms of the job.
    let groups = space.client.errors().await.unwrap();
    assert!(groups.iter().any(|known| known.id == group), "{groups:?}");
    let json = serde_json::to_value(&one).unwrap();
    let text = serde_json::json!(group);
    assert_eq!([&json["error"], &json["attempts"][0]["error"]], [&text, &text]);
    let tenant = if users(std::slice::from_ref(&one))[0] < 4 { "acme" } else { "other" };
    assert_eq!(json["headers"], serde_json::json!({ "tenant": tenant }));
    assert!(json["trace_parent"].is_null());
    let beginning = one.id().to_string();
    assert_eq!(find(&format!("id={}", &beginning[..30])).await, users(std::slice::from_ref(&one)));
    let node = one.node.clone().unwrap();
    assert_eq!(find(&format!("node={node}")).await, all);
    assert_eq!(find(&format!("node={}", node.split(':').next().unwrap())).await, all);
    assert_eq!(find("node=other").await, Vec::<u64>::new());
}

#[tokio::test]
async fn a_search_ends_with_its_budget_and_goes_on() {
    let space = Space::new("budget");
    let many = (0..30).map(welcome);
    space.client.enqueue_many(many).await;
    for user in 30..36 {
        space.client.enqueue(welcome(user)).lane(Lane::Low).await.unwrap();
    }
    let queue = space.client.inspect("q");
    let thirds = filter("kind=mail.welcome");
    // Two jobs at a time, in the order of the lanes.
    let (mut seen, mut cursor) = (vec![], None);
    loop {
        let budget = Budget::jobs(2);
        let found =
            queue.find_where(Listing::Ready, &thirds, cursor.as_ref(), budget).await.unwrap();
        assert!(found.jobs.len() <= 2 && found.of == 36);
        seen.extend(users(&found.jobs));
        match found.next {
            Some(next) => cursor = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(seen, (0..36).collect::<Vec<_>>());
    // None is found: the search says how far it looked.
    let none = filter("kind=nothing");
    let budget = Budget::default().entries(10);
    let found = queue.find_where(Listing::Ready, &none, None, budget).await.unwrap();
    assert_eq!((found.jobs.len(), found.looked_at, found.of), (0, 10, 36));
    let budget = Budget::default();
    let rest = queue.find_where(Listing::Ready, &none, found.next.as_ref(), budget).await.unwrap();
    assert_eq!((rest.looked_at, rest.next), (26, None));
    // A budget of nothing looks at one job, so that the search comes to an end.
    let nothing = Budget::jobs(0).entries(0).time(Duration::ZERO);
    let found = queue.find_where(Listing::Ready, &none, None, nothing).await.unwrap();
    assert_eq!((found.looked_at, found.next.is_some()), (1, true));
}

#[tokio::test]
async fn a_bulk_change_is_shown_before_and_reported() {
    let space = Space::new("bulk");
    let_die(&space, 0..250).await;
    let queue = space.client.inspect("q");
    let odd = filter("error~smtp");
    let dry = queue.bulk(Listing::Dead, &odd, Action::Revive).dry_run().await.unwrap();
    assert_eq!((dry.of, dry.looked_at, dry.matched, dry.changed), (250, 250, 125, 0));
    assert_eq!(dry.first.len(), 10);
    assert_eq!(space.overview("q").await.dead, 250, "nothing was changed");

    let steps: Arc<Mutex<Vec<BulkReport>>> = Arc::default();
    let told = Arc::clone(&steps);
    let bulk = queue.bulk(Listing::Dead, &odd, Action::Revive);
    let done =
        bulk.progress(move |so_far| told.lock().unwrap().push(so_far.clone())).await.unwrap();
    assert_eq!((done.matched, done.changed), (125, 125));
    let steps = std::mem::take(&mut *steps.lock().unwrap());
    assert!(steps.len() >= 3, "steps of at most 100: {}", steps.len());
    assert!(steps.is_sorted_by(|one, next| one.changed <= next.changed));
    assert_eq!(steps.last(), Some(&done));
    let view = space.overview("q").await;
    assert_eq!((view.dead, view.ready()), (125, 125));

    let wrong = queue.bulk(Listing::Ready, &odd, Action::Revive).await.unwrap_err();
    assert!(wrong.is_invalid() && wrong.to_string().contains("dead"), "{wrong}");
    let deleted = queue.bulk(Listing::Dead, &Filter::any(), Action::Delete).await.unwrap();
    assert_eq!(deleted.changed, 125);
    // Revived again from a lane into `due`, hurried, cancelled.
    let later = SystemTime::now() + DAY;
    let some = filter("payload.user=1");
    let moved = queue.bulk(Listing::Ready, &some, Action::Reschedule(later.into())).await.unwrap();
    assert_eq!((moved.changed, space.due("q").await), (1, 1));
    let tomorrow: Timestamp = (later + DAY).into();
    let again = queue.bulk(Listing::Scheduled, &some, Action::Reschedule(tomorrow)).await.unwrap();
    assert_eq!((again.matched, again.changed), (1, 1), "it is met once");
    let hurried = queue.bulk(Listing::Due, &Filter::any(), Action::RunNow).await.unwrap();
    assert_eq!((hurried.matched, hurried.changed), (1, 1));
    let cancelled = queue.bulk(Listing::Ready, &Filter::any(), Action::Cancel).await.unwrap();
    assert_eq!((cancelled.changed, space.overview("q").await.ready()), (124, 0));
}

#[tokio::test]
async fn a_bulk_change_stops_when_it_is_dropped() {
    let space = Space::new("dropped");
    let_die(&space, 0..300).await;
    let queue = space.client.inspect("q");
    let (tell, mut told) = tokio::sync::mpsc::channel(10);
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let bulk = queue.bulk(Listing::Dead, &Filter::any(), Action::Revive).progress(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        let _ = tell.try_send(());
    });
    {
        let mut running = std::pin::pin!(bulk.into_future());
        tokio::select! {
            _ = &mut running => panic!("it has several steps"),
            _ = told.recv() => {}
        }
    }
    let after = space.overview("q").await;
    assert!(after.dead > 0 && after.ready() >= 100, "{} dead", after.dead);
    assert_eq!(after.dead + after.ready(), 300, "no job is lost");
    assert!(steps.load(Ordering::Relaxed) < 3);
}

#[tokio::test]
async fn a_job_is_found_by_its_id_alone() {
    let space = Space::new("anywhere");
    let client = &space.client;
    let queue = QueueName::new("slots").unwrap();
    client.broker().define_pool(&queue, PoolMode::Phash, 6).await.unwrap();
    let ready = client.enqueue(Number(1)).queue("a").await.unwrap();
    let due = client.enqueue(Number(2)).queue("b").after(DAY).await.unwrap();
    let cast = client.pool::<Number>("slots").slot(4).cast(Number(3)).await.unwrap();
    client.broker().register_queue(&poolder::Handle::from(&cast).partition).await.unwrap();
    let named = client.enqueue(Number(4)).queue("c").id("order-7").await.unwrap();
    for (receipt, queue, state) in [
        (&ready, "a.0", JobState::Ready),
        (&due, "b.0", JobState::Scheduled),
        (&cast, "slots.4", JobState::Ready),
        (&named, "c.0", JobState::Ready),
    ] {
        let sighting = client.find(receipt.job).await.unwrap();
        let job = sighting.job.expect(queue);
        assert_eq!((job.id(), job.state), (receipt.job, state));
        assert_eq!(job.handle.partition.to_string(), queue);
        assert_eq!((sighting.partitions, sighting.is_partial), (9, false));
    }
    let none = client.find(poolder::JobId::generate()).await.unwrap();
    assert_eq!((none.job, none.ended, none.is_partial), (None, None, false));
    // A job that has ended with a record.
    let kept = client.enqueue(Number(5)).queue("d").keep_completion(DAY).await.unwrap();
    let (worker, mut told) = crate::harness::teller();
    let node = start(space.node().pool(Pool::new("d").worker(worker)));
    within(told.recv()).await.unwrap();
    eventually("its record is there", || async {
        client.find(kept.job).await.unwrap().ended.is_some()
    })
    .await;
    let ended = client.find(kept.job).await.unwrap().ended.unwrap();
    assert_eq!((ended.state, ended.partition.to_string()), (JobState::Completed, "d.0".into()));
    node.stop().await;
}

#[tokio::test]
async fn the_server_is_described() {
    let space = Space::new("servers");
    let servers = space.client.servers().await.unwrap();
    assert_eq!(servers.len(), 1);
    let server = &servers[0];
    assert!(server.name.contains(' ') && server.role == "master", "{server:?}");
    assert!(server.memory_used > 0 && server.clients > 0 && server.aof.is_some());
    let latency = server.latency.unwrap();
    assert!(latency.fastest <= latency.median && latency.median <= latency.slowest);
    assert_eq!(server.why, None);
    assert!(!server.address.contains('@'), "{}", server.address);
}

#[tokio::test]
async fn a_bulk_change_that_is_stopped_has_its_end_in_the_audit() {
    let space = Space::new("stopped");
    let_die(&space, 0..250).await;
    let queue = space.client.inspect("q");
    let stopped = queue
        .bulk(Listing::Dead, &Filter::any(), Action::Revive)
        .stop_when(|so_far| so_far.changed >= 100)
        .await
        .unwrap();
    assert!((100..250).contains(&stopped.changed), "{}", stopped.changed);
    assert_eq!(space.overview("q").await.dead, 250 - stopped.changed);
    let audit = poolder::AuditFilter::default().action("jobs.revive");
    let last = space.client.audit(&audit, None, 1).await.unwrap().entries.remove(0).record;
    assert_eq!((last.changed, last.begun.is_some()), (stopped.changed, true));
    let left = space.overview("q").await.dead;
    let few = queue.bulk(Listing::Dead, &Filter::any(), Action::Revive).at_most(3).await.unwrap();
    assert_eq!((few.matched, few.changed, space.overview("q").await.dead), (3, 3, left - 3));
    let none = queue.bulk(Listing::Dead, &Filter::any(), Action::Revive).at_most(0).await.unwrap();
    assert_eq!((none.matched, none.changed), (0, 0));
}

#[tokio::test]
async fn dead_jobs_are_patched_and_revived_together() {
    let space = Space::new("patched");
    let_die(&space, 0..130).await;
    let queue = space.client.inspect("q");
    let odd = filter("error~smtp");
    let patch = serde_json::json!({ "user": 1_000 });
    let edit = Action::Edit(patch.clone());
    let dry = queue.bulk(Listing::Dead, &odd, edit.clone()).dry_run().await.unwrap();
    assert_eq!((dry.matched, dry.changed), (65, 0));
    let done = queue.bulk(Listing::Dead, &odd, edit.clone()).await.unwrap();
    assert_eq!((done.matched, done.changed, space.overview("q").await.dead), (65, 65, 65));
    let revived = queue.ready(Lane::Normal, None, 100).await.unwrap().jobs;
    assert!(users(&revived).into_iter().all(|user| user == 1_000) && revived.len() == 65);
    // A payload that no job may have leaves its job dead.
    let large = Action::Edit(serde_json::json!({ "text": "x".repeat(2 << 20) }));
    let left = queue.bulk(Listing::Dead, &Filter::any(), large).await.unwrap();
    assert_eq!((left.matched, left.changed, space.overview("q").await.dead), (65, 0, 65));
    let wrong = queue.bulk(Listing::Ready, &odd, edit).await.unwrap_err();
    assert!(wrong.is_invalid() && wrong.to_string().contains("dead"), "{wrong}");
}
