//! The audit: each change of an operator leaves an entry.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{
    Action, Actor, AuditEntry, AuditFilter, AuditOutcome, BatchOptions, Handle, JobId, Listing,
    QueueName, Timestamp,
};

use crate::harness::{Number, Space, eventually, start};

const HOUR: Duration = Duration::from_secs(3_600);

async fn entries(client: &Client, filter: &AuditFilter) -> Vec<AuditEntry> {
    client.audit(filter, None, 500).await.unwrap().entries
}

/// Returns each entry as `action target detail changed outcome`, the earliest first.
async fn lines(client: &Client) -> Vec<String> {
    let line = |entry: AuditEntry| {
        let it = entry.record;
        let outcome = serde_json::to_value(it.outcome).unwrap();
        let outcome = outcome.as_str().unwrap().to_owned();
        let words = [it.action, it.target, it.detail, it.changed.to_string(), outcome];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    entries(client, &AuditFilter::default()).await.into_iter().rev().map(line).collect()
}

fn key(space: &Space) -> String {
    format!("{}:{{roster}}:audit", space.name())
}

#[tokio::test]
async fn each_change_leaves_an_entry_with_actor_target_and_count() {
    let space = Space::new("audit");
    let actor = Actor::new("ann").via("support").reason("ticket 4711");
    let ann = space.client.acting_as(actor);
    let fails = worker_fn(|_: Number, _: Context| async { Err::<Outcome, BoxError>("no".into()) });
    let policy = Policy::default().attempts(1);
    let node = start(space.node().pool(Pool::new("q").size(1).policy(policy).worker(fails)));
    let mut dead = vec![];
    for number in 0..5 {
        dead.push(Handle::from(&space.client.enqueue(Number(number)).await.unwrap()));
    }
    eventually("all are dead", || async { space.overview("q").await.dead == 5 }).await;
    node.stop().await;
    let sent = |after: Duration| space.client.enqueue(Number(9)).after(after).into_future();
    let (one, two, three) =
        (sent(HOUR).await.unwrap(), sent(HOUR).await.unwrap(), sent(HOUR).await.unwrap());
    let at = Timestamp::from_millis(1_900_000_000_000);

    assert!(ann.pause("q").await.unwrap() && !ann.pause("q").await.unwrap());
    assert!(ann.resume("q").await.unwrap());
    ann.job(&one).reschedule(at).await.unwrap();
    ann.job(&one).run_now().await.unwrap();
    ann.job(&two).cancel().await.unwrap();
    ann.job(&three).remove().await.unwrap();
    ann.job(dead[0].clone()).revive().await.unwrap();
    ann.job(dead[1].clone()).edit_and_revive(&serde_json::json!(1)).await.unwrap();
    assert!(ann.job(JobId::generate().in_queue("q")).revive().await.unwrap_err().is_not_found());
    let queue = ann.inspect("q");
    let filter = "kind=number".parse().unwrap();
    queue.bulk(Listing::Dead, &filter, Action::Revive).dry_run().await.unwrap();
    queue.bulk(Listing::Ready, &filter, Action::Reschedule(at)).await.unwrap();
    assert_eq!(queue.revive_where(|job| job.handle.job == dead[2].job).await.unwrap(), 1);
    assert_eq!(queue.drain().await.unwrap(), 4);
    assert_eq!(queue.purge_dead().await.unwrap(), 2);
    ann.schedule("hourly", "1h", Number(1)).await.unwrap();
    let schedules = ann.schedules("q");
    schedules
        .change("hourly", |it| {
            it.timing = "2h".parse()?;
            Ok(())
        })
        .await
        .unwrap();
    schedules.pause("hourly").await.unwrap();
    schedules.resume("hourly").await.unwrap();
    let run = schedules.run_now("hourly").await.unwrap().job;
    assert!(
        schedules.remove("hourly").await.unwrap() && !schedules.remove("hourly").await.unwrap()
    );
    let keyed = QueueName::new("keyed").unwrap();
    ann.broker().define_pool(&keyed, Mode::Phash, 2).await.unwrap();
    let pool = ann.pool::<Number>("keyed");
    pool.resize(3).await.unwrap();
    pool.slot(1).stop().await.unwrap();
    pool.slot(1).start().await.unwrap();
    pool.stop().await.unwrap();
    pool.start().await.unwrap();
    ann.pool_set("set").add("keyed").await.unwrap();
    ann.pool_set("set").remove("keyed").await.unwrap();
    let rows = ann.batcher::<u64>("rows").group("a");
    rows.declare(BatchOptions::default()).await.unwrap();
    rows.push(1).await.unwrap();
    rows.push(2).await.unwrap();
    rows.pop(0).await.unwrap();
    assert!(rows.flush().await.unwrap().is_some() && rows.flush().await.unwrap().is_none());

    let job = |receipt: &poolder::Receipt| Handle::from(receipt).to_string();
    let expected = [
        "queue.pause q 1 done".to_owned(),
        "queue.resume q 1 done".into(),
        format!("job.reschedule {} to {at} 1 done", job(&one)),
        format!("job.run_now {} 1 done", job(&one)),
        format!("job.cancel {} 1 done", job(&two)),
        format!("job.remove {} 1 done", job(&three)),
        format!("job.revive {} 1 done", dead[0]),
        format!("job.edit {} 1 done", dead[1]),
        "jobs.reschedule q ready jobs, kind=number 0 begun".into(),
        "jobs.reschedule q ready jobs, kind=number 2 done".into(),
        "jobs.revive q dead jobs, those that satisfy a function 0 begun".into(),
        "jobs.revive q dead jobs, those that satisfy a function 1 done".into(),
        "queue.drain q 0 begun".into(),
        "queue.drain q 4 done".into(),
        "queue.purge q 0 begun".into(),
        "queue.purge q 2 done".into(),
        "schedule.put q/hourly 1 done".into(),
        "schedule.change q/hourly 1 done".into(),
        "schedule.pause q/hourly 1 done".into(),
        "schedule.resume q/hourly 1 done".into(),
        format!("schedule.run q/hourly job {run} 1 done"),
        "schedule.remove q/hourly 1 done".into(),
        "pool.resize keyed to 3 slots 1 done".into(),
        "slot.stop keyed.1 1 done".into(),
        "slot.start keyed.1 1 done".into(),
        "pool.stop keyed 1 done".into(),
        "pool.start keyed 1 done".into(),
        "pool_set.add set pool keyed 1 done".into(),
        "pool_set.remove set pool keyed 1 done".into(),
        "batch.pop rows/rows group a 1 done".into(),
        "batch.flush rows/rows group a 1 done".into(),
    ];
    let lines = lines(&ann).await;
    for (line, expected) in lines.iter().zip(&expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    let all = entries(&ann, &AuditFilter::default()).await;
    let by = |entry: &AuditEntry| {
        let it = &entry.record;
        (&*it.actor, &*it.via, &*it.reason) == ("ann", "support", "ticket 4711")
    };
    assert!(all.iter().all(by) && all.iter().all(|entry| entry.at == entry.id.at()));
    let purges = entries(&ann, &AuditFilter::default().action("queue.purge")).await;
    assert_eq!(purges[0].record.begun, Some(purges[1].id));
}

#[tokio::test]
async fn a_program_without_a_name_leaves_entries_for_queues_and_none_for_single_jobs() {
    let space = Space::new("audit-program");
    let job = space.client.enqueue(Number(1)).await.unwrap();
    space.client.job(&job).cancel().await.unwrap();
    space.client.pause("q").await.unwrap();
    space.client.acting_as("").resume("q").await.unwrap();
    assert_eq!(lines(&space.client).await, ["queue.pause q 1 done", "queue.resume q 1 done"]);
    let all = entries(&space.client, &AuditFilter::default()).await;
    assert!(all[1].record.actor.starts_with("suite"), "{all:?}");
    assert_eq!((&*all[1].record.via, &*all[1].record.reason), ("code", ""));
}

#[tokio::test]
async fn the_audit_is_read_in_pages_by_filters_and_from_an_entry_on() {
    let space = Space::new("audit-pages");
    let (ann, bob) = (space.client.acting_as("ann"), space.client.acting_as("bob"));
    for queue in ["a", "b", "c"] {
        ann.pause(queue).await.unwrap();
        bob.resume(queue).await.unwrap();
    }
    // Entries of a later version and of another program are passed over.
    for value in ["x", r#"{"actor":"eve","action":"a","target":"t","outcome":"later"}"#, "[]"] {
        let mut add = redis::cmd("XADD");
        let _: String = space.redis(add.arg(key(&space)).arg("*").arg("e").arg(value)).await;
    }
    ann.pause("d").await.unwrap();
    let all = AuditFilter::default();
    let first = ann.audit(&all, None, 3).await.unwrap();
    let target = |entry: &AuditEntry| format!("{} {}", entry.record.action, entry.record.target);
    let targets = |entries: &[AuditEntry]| entries.iter().map(target).collect::<Vec<_>>();
    assert_eq!(targets(&first.entries), ["queue.pause d", "queue.resume c", "queue.pause c"]);
    assert_eq!((first.looked_at, first.next), (6, Some(first.entries[2].id)));
    let rest = ann.audit(&all, first.next, 500).await.unwrap();
    assert_eq!((rest.entries.len(), rest.next, rest.looked_at), (4, None, 4));

    let by_bob = entries(&ann, &all.clone().actor("bob").target("b")).await;
    assert_eq!(targets(&by_bob), ["queue.resume b"]);
    assert_eq!(entries(&ann, &all.clone().action("queue.*")).await.len(), 7);
    assert_eq!(entries(&ann, &all.clone().action("queue.pause")).await.len(), 4);
    assert!(entries(&ann, &all.clone().action("job.*")).await.is_empty());
    let latest = &first.entries[0];
    assert!(entries(&ann, &all.clone().after(latest.id)).await.is_empty());
    let after = entries(&ann, &all.clone().after(first.entries[1].id)).await;
    assert_eq!(targets(&after), ["queue.pause d"]);
    assert!(entries(&ann, &all.clone().since(latest.at)).await.contains(latest));
    assert!(entries(&ann, &all.since(latest.at + HOUR)).await.is_empty());
    let json = serde_json::to_value(latest).unwrap();
    let shown = (&json["actor"], &json["action"], &json["outcome"], &json["at"]);
    let expected = ("ann".into(), "queue.pause".into(), "done".into(), latest.at.millis().into());
    assert_eq!(shown, (&expected.0, &expected.1, &expected.2, &expected.3));
    assert_eq!(latest.record.outcome, AuditOutcome::Done);
}

#[tokio::test]
async fn the_audit_has_a_limit_and_a_failure_to_write_it_fails_no_change() {
    let space = Space::new("audit-limit");
    let add = "for i = 1, 12000 do redis.call('XADD', KEYS[1], '*', 'e', '{}') end";
    let _: () = space.redis(redis::cmd("EVAL").arg(add).arg(1).arg(key(&space))).await;
    space.client.pause("q").await.unwrap();
    let kept: u64 = space.redis(redis::cmd("XLEN").arg(key(&space))).await;
    assert!((10_000..=10_200).contains(&kept), "{kept}");
    // A page looks at a part of what is no entry, and says where another goes on.
    let page = space.client.audit(&AuditFilter::default(), None, 10).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert!(page.looked_at < 5_000 && page.next.is_some(), "{page:?}");

    let _: () = space.redis(redis::cmd("SET").arg(key(&space)).arg("x")).await;
    assert!(space.client.resume("q").await.unwrap());
    assert!(space.client.inspect("q").drain().await.is_ok());
    assert!(space.client.audit(&AuditFilter::default(), None, 1).await.is_err());
}
