//! Exports and imports: what was exported is there again, in another namespace, and only once.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{
    Backoff, Error, Export, ImportReport, JobView, KeptState, Listing, Policy, QueueLimits,
};
use serde_json::{Value, json};

use crate::harness::{Number, Space, eventually, start};

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(serde::Serialize, serde::Deserialize, Debug, Clone, Job)]
#[job(kind = "report", queue = "q", unique(until = "done", by = (of)))]
struct Report {
    of: String,
}

/// A job of which the last one of each index waits behind the one that is under way.
#[derive(serde::Serialize, serde::Deserialize, Debug, Clone, Job)]
#[job(kind = "index", queue = "q", unique(keep = "last", by = (of)))]
struct Index {
    of: String,
    number: u64,
}

async fn lines(export: Export) -> Vec<String> {
    let mut lines = vec![];
    let write = |line: &str| {
        lines.push(line.to_owned());
        Ok(())
    };
    export.write(write).await.unwrap();
    lines
}

async fn import(client: &Client, lines: &[String]) -> Result<ImportReport, Error> {
    let mut import = client.import();
    for line in lines {
        import.line(line).await?;
    }
    import.finish().await
}

/// Returns what an export keeps of each job of a queue, in the order of lists.
async fn jobs(client: &Client, queue: &str) -> Vec<Value> {
    let show = |job: &JobView| {
        let is_ready = matches!(job.state, poolder::JobState::Ready | poolder::JobState::Running);
        json!({
            "id": job.id(), "slot": job.handle.partition.index, "lane": job.lane,
            "at": (!is_ready).then_some(job.at), "kind": job.kind(),
            "payload": job.payload_json().ok(), "failures": job.counters.failures,
            "attempts": job.attempts().len(), "failure": job.failure().map(ToString::to_string),
            "policy": job.own_policy().map(|policy| policy.attempts),
            "headers": job.headers().get("tenant"), "state": if is_ready { "ready".into() } else { job.state.to_string() },
        })
    };
    let (all, budget) = (poolder::Filter::any(), poolder::Budget::jobs(1_000).entries(10_000));
    let mut jobs = vec![];
    for listing in [Listing::Running, Listing::Ready, Listing::Due, Listing::Dead] {
        let found = client.inspect(queue).find_where(listing, &all, None, budget).await.unwrap();
        jobs.extend(found.jobs.iter().map(show));
    }
    // A job that ran is behind those that waited before it.
    jobs.sort_by_key(|job| {
        (job["state"].to_string(), job["lane"].to_string(), job["id"].to_string())
    });
    jobs
}

/// Fills a queue with jobs in each state, and an addressed pool.
async fn filled(space: &Space) {
    let client = &space.client;
    let fails = worker_fn(|_: Number, _: Context| async { Err::<Outcome, BoxError>("no".into()) });
    let addressed = worker_fn(|_: Number, _: Context| async { Ok::<_, BoxError>(Done) });
    let node = space.node().pool(Pool::new("q").size(1).worker(fails));
    let node = start(node.pool(Pool::new("keyed").size(4).mode(Mode::Phash).worker(addressed)));
    let again = Policy::default().attempts(3).backoff(Backoff::Fixed(HOUR));
    client.enqueue(Number(1)).lane(Lane::High).policy(again).await.unwrap();
    client.enqueue(Number(2)).policy(Policy::default().attempts(1)).await.unwrap();
    eventually("one waits and one is dead", || async {
        let view = space.overview("q").await;
        (view.due, view.dead) == (1, 1) && client.pool::<Number>("keyed").view().await.is_ok()
    })
    .await;
    node.stop().await;
    client.enqueue(Number(3)).lane(Lane::Low).header("tenant", "acme").await.unwrap();
    client.enqueue(Number(4)).id("four").await.unwrap();
    client.enqueue(Number(5)).after(HOUR).await.unwrap();
    client.enqueue(Report { of: "acme".into() }).await.unwrap();
    client.pool::<Number>("keyed").slot(3).cast(Number(6)).await.unwrap();
    client.pool::<Number>("keyed").slot(0).cast(Number(7)).after(HOUR).await.unwrap();
    client.schedule("hourly", "1h", Number(8)).await.unwrap();
    client.schedules("q").pause("hourly").await.unwrap();
    client.pause("q").await.unwrap();
}

#[tokio::test]
async fn what_was_exported_is_there_again_and_an_import_that_is_repeated_stores_nothing() {
    let (from, to) = (Space::new("export"), Space::new("import"));
    filled(&from).await;
    // A job that runs.
    let claimed =
        from.connection("q", "n1").await.exchange(&[], Some((Lane::Normal, 1)), true).await;
    assert_eq!(claimed.unwrap().claimed.unwrap().jobs.len(), 1);
    let lines = lines(from.client.export()).await;
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let sums = json!({"type": "end", "queues": 2, "schedules": 1, "jobs": 8, "ran": 1, "batches": 0, "too_large": 0});
    assert_eq!(last, sums);

    let mut dry = to.client.import().dry_run();
    for line in &lines {
        dry.line(line).await.unwrap();
    }
    let dry = dry.finish().await.unwrap();
    assert_eq!((dry.jobs, dry.schedules, dry.queues, dry.stored), (8, 1, 2, 0));
    assert!(to.client.queues().await.unwrap().is_empty(), "a dry run stores nothing");

    let client = to.client.acting_as("ann");
    let report = import(&client, &lines).await.unwrap();
    assert_eq!((report.jobs, report.stored, report.schedules_stored), (8, 8, 1), "{report:?}");
    assert!(!report.is_cut);
    for queue in ["q", "keyed"] {
        assert_eq!(jobs(&client, queue).await, jobs(&from.client, queue).await, "{queue}");
    }
    let (old, new) = (from.overview("q").await, to.overview("q").await);
    assert_eq!((new.due, new.retrying, new.dead), (old.due, old.retrying, old.dead));
    assert!(new.paused.is_some());
    let schedule = client.schedules("q").get("hourly").await.unwrap().unwrap();
    assert_eq!(schedule.status.to_string(), "paused");
    assert_eq!(client.pool::<Number>("keyed").view().await.unwrap().size, 4);
    // The unique job holds its key again.
    assert!(client.enqueue(Report { of: "acme".into() }).await.unwrap().is_duplicate());

    let again = import(&client, &lines).await.unwrap();
    assert_eq!((again.stored, again.there, again.schedules_stored), (0, 8, 0), "{again:?}");
    assert_eq!(jobs(&client, "q").await, jobs(&from.client, "q").await);
    // A job that has run since, or was deleted, does not come back either.
    assert_eq!(client.inspect("q").drain().await.unwrap(), 5);
    assert_eq!(client.inspect("q").purge_dead().await.unwrap(), 1);
    assert_eq!(import(&client, &lines).await.unwrap().stored, 0);
    let begun = poolder::AuditFilter::default().action("queue.import").target("q");
    let entries = client.audit(&begun, None, 10).await.unwrap().entries;
    let changed: Vec<u64> = entries.iter().rev().map(|entry| entry.record.changed).collect();
    assert_eq!(changed, [0, 7, 0, 0, 0, 0], "a beginning and an end each: six jobs, a schedule");
    assert!(entries.iter().all(|entry| entry.record.actor == "ann"));
}

#[tokio::test]
async fn imported_jobs_run_and_a_changed_payload_is_the_one_that_they_get() {
    let (from, to) = (Space::new("export-run"), Space::new("import-run"));
    from.client.enqueue(Number(1)).await.unwrap();
    from.client.enqueue(Number(2)).await.unwrap();
    let all = lines(from.client.export().queue("q").state(KeptState::Ready)).await;
    let change = |line: &String| line.replace("\"payload\":2,", "\"payload\":22,");
    let lines: Vec<String> = all.iter().map(change).collect();
    assert_ne!(lines, all);
    assert_eq!(import(&to.client, &lines).await.unwrap().stored, 2);
    let (worker, mut told) = crate::harness::teller();
    let node = start(to.node().pool(Pool::new("q").size(1).worker(worker)));
    let mut numbers = vec![told.recv().await.unwrap().0, told.recv().await.unwrap().0];
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 22]);
    eventually("both are done", || async { to.ready("q").await == 0 }).await;
    node.stop().await;
    assert_eq!(import(&to.client, &lines).await.unwrap().there, 2);
}

#[tokio::test]
async fn a_job_that_waited_behind_another_one_waits_behind_it_again_or_takes_the_key() {
    let (from, to) = (Space::new("export-behind"), Space::new("import-behind"));
    let index = |number| Index { of: "a".into(), number };
    from.client.enqueue(index(1)).await.unwrap();
    from.client.enqueue(index(2)).await.unwrap();
    let all = lines(from.client.export()).await;
    assert_eq!(import(&to.client, &all).await.unwrap().stored, 2);
    assert_eq!(jobs(&to.client, "q").await, jobs(&from.client, "q").await);
    // The job behind is the one that gets newer data, and starts when the first has ended.
    assert!(to.client.enqueue(index(3)).await.unwrap().is_duplicate());
    let (tell, mut told) = tokio::sync::mpsc::channel(10);
    let worker = worker_fn(move |job: Index, _: Context| {
        let tell = tell.clone();
        async move { Ok::<_, BoxError>(tell.send(job.number).await?) }
    });
    let node = start(to.node().pool(Pool::new("q").size(4).worker(worker)));
    let mut next = async || crate::harness::within(told.recv()).await.unwrap();
    assert_eq!((next().await, next().await), (1, 3));
    eventually("both are done", || async { to.due("q").await + to.ready("q").await == 0 }).await;
    assert_eq!(import(&to.client, &all).await.unwrap().there, 2);
    // Without the first one it takes the key, and is due at once.
    let other = Space::new("import-alone");
    let alone = lines(from.client.export().queue("q").state(KeptState::Due)).await;
    assert_eq!(import(&other.client, &alone).await.unwrap().stored, 1);
    let (here, there) = (jobs(&other.client, "q").await, jobs(&from.client, "q").await);
    assert!(there.iter().all(|job| job["at"] != here[0]["at"]), "{here:?}");
    assert_eq!(other.client.inspect("q").unique_keys(None, 10).await.unwrap().0.len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn an_import_into_the_namespace_of_its_export_stores_only_what_is_gone() {
    let space = Space::new("export-back");
    filled(&space).await;
    let lines = lines(space.client.export()).await;
    let before = jobs(&space.client, "q").await;
    let report = import(&space.client, &lines).await.unwrap();
    assert_eq!((report.stored, report.there), (0, 8), "{report:?}");
    let due = before.iter().find(|job| job["payload"] == 5).unwrap()["id"].as_str().unwrap();
    space.client.inspect("q").purge_dead().await.unwrap();
    let gone = due.parse::<poolder::JobId>().unwrap().in_queue("q").unwrap();
    space.client.job(gone).remove().await.unwrap();
    assert_eq!(import(&space.client, &lines).await.unwrap().stored, 2);
    assert_eq!(jobs(&space.client, "q").await, before);
}

#[tokio::test]
async fn an_export_that_was_cut_off_is_imported_up_to_its_end_and_again_when_it_is_whole() {
    let (from, to) = (Space::new("export-cut"), Space::new("import-cut"));
    for number in 0..120 {
        from.client.enqueue(Number(number)).after(HOUR).await.unwrap();
    }
    let lines = lines(from.client.export()).await;
    let text = lines.join("\n");
    let cut = &text[..text.len() / 2];
    let (whole, rest) = cut.rsplit_once('\n').unwrap();
    let mut part = to.client.import();
    for line in whole.lines() {
        part.line(line).await.unwrap();
    }
    part.rest(rest).await.unwrap();
    let part = part.finish().await.unwrap();
    assert!(part.is_cut && part.stored > 30 && part.stored < 90, "{part:?}");
    let all = import(&to.client, &lines).await.unwrap();
    assert_eq!((all.stored + part.stored, all.there), (120, part.stored));
    assert_eq!(to.due("q").await, 120);
}

#[tokio::test]
async fn a_line_that_is_not_understood_is_refused_with_its_number() {
    let (from, to) = (Space::new("export-bad"), Space::new("import-bad"));
    from.client.enqueue(Number(1)).after(HOUR).await.unwrap();
    let lines = lines(from.client.export()).await;
    let (head, job) = (&lines[0], &lines[2]);
    let keyed = job.replace("\"queue\":\"q\",", "\"queue\":\"q\",\"slot\":3,");
    for (bad, why) in [
        (vec!["{".to_owned()], "line 1: it is no line of an export"),
        (vec!["7".into()], "line 1: it is no line of an export"),
        (vec![job.clone()], "line 1: the first line of an export says its version"),
        (vec![head.replace("\"version\":1", "\"version\":2")], "line 1: the export has version 2"),
        (vec![head.clone(), "{\"type\":\"else\"}".into()], "line 2: it is no line of an export"),
        (
            vec![head.clone(), job.replace("\"stored\":\"", "\"stored\":\"!")],
            "line 2: the field stored",
        ),
        (vec![head.clone(), job.replace("\"due\"", "\"dead\"")], "line 2: "),
        (
            vec![head.clone(), job.replace("\"kind\":\"number\"", "\"kind\":\"x\"")],
            "only its payload",
        ),
        (
            vec![head.clone(), String::new(), keyed],
            "line 3: the job belongs to slot 3, and queue q",
        ),
        (
            vec![head.clone(), lines.last().unwrap().clone(), job.clone()],
            "line 3: it stands behind",
        ),
        (vec![head.clone(), head.clone()], "line 2: another export begins"),
        (vec![head.clone(), " ".repeat(9 << 20) + "x"], "line 2: it has more than"),
    ] {
        let error = import(&to.client, &bad).await.unwrap_err();
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert!(error.is_invalid() || error.is_too_large(), "{error:?}");
    }
    assert!(import(&to.client, &[]).await.unwrap_err().is_invalid());
    assert_eq!(to.due("q").await, 0);
    assert!(from.client.export().queue("none").write(|_| Ok(())).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn what_cannot_be_read_is_exported_as_dead_and_batches_are_left_out() {
    let (from, to) = (Space::new("export-odd"), Space::new("import-odd"));
    let odd = from.key("q", "ready:normal");
    let _: String = from.redis(redis::cmd("XADD").arg(odd).arg("*").arg("j").arg("odd")).await;
    let rows = from.client.batcher_on::<u64>("q", "rows");
    rows.declare(poolder::BatchOptions::default()).await.unwrap();
    rows.push(1).await.unwrap();
    rows.flush().await.unwrap().unwrap();
    let lines = lines(from.client.export()).await;
    let end: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!((&end["jobs"], &end["batches"]), (&json!(1), &json!(1)));
    assert_eq!(import(&to.client, &lines).await.unwrap().stored, 1);
    let dead = to.client.inspect("q").dead(None, 10).await.unwrap().jobs;
    assert_eq!(dead[0].raw(), Some(b"j\0odd".as_slice()));
    assert_eq!(import(&to.client, &lines).await.unwrap().stored, 0);
}

#[tokio::test]
async fn a_job_that_waits_in_a_group_is_ready_in_an_export_and_keeps_its_group() {
    let (from, to) = (Space::new("export-groups"), Space::new("import-groups"));
    from.client.limits("q").set(QueueLimits::new().group_concurrency(1)).await.unwrap();
    for number in 0..3 {
        from.client.enqueue(Number(number)).group("acme").await.unwrap();
    }
    assert_eq!(from.overview("q").await.grouped, 3);
    let lines = lines(from.client.export().state(KeptState::Ready)).await;
    assert_eq!(import(&to.client, &lines).await.unwrap().stored, 3);
    assert_eq!(import(&to.client, &lines).await.unwrap().stored, 0, "they are there");
    let jobs = to.client.inspect("q").waiting(None, 9).await.unwrap().jobs;
    assert_eq!(jobs.len(), 3);
    assert!(jobs.iter().all(|job| job.group() == Some("acme")), "{jobs:?}");
    assert_eq!(to.overview("q").await.grouped, 0, "the queue has no limits there");
}
