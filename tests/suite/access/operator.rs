//! Operators, readers and exporters do their work under the rules of the guide.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{JobId, QueueLimits, SavedView, Timestamp};
use poolder_core::metrics::{Metric, catalogue};

use super::{GUIDE, Guarded};
use crate::harness::{Number, eventually, start};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn an_operator_can_do_its_work_under_the_rules_of_the_guide() {
    let Some(guarded) = Guarded::with_selectors("operator") else { return };
    let (worker, operator) = (guarded.user("worker"), guarded.user("operator").client);
    let producer = guarded.user("producer").client;
    let handler = worker_fn(|job: Number, _: Context| async move {
        if job.0 == 0 { Err::<Outcome, BoxError>("no".into()) } else { Ok(Done) }
    });
    let pool = Pool::new("q").size(1).worker(handler.clone());
    let addressed = Pool::new("addressed").size(2).mode(Mode::RoundRobin).worker(handler);
    let node = start(worker.node().pool(pool).pool(addressed));
    let once = Policy::default().attempts(1);
    for _ in 0..3 {
        producer.enqueue(Number(0)).policy(once.clone()).await.unwrap();
    }
    let inspector = operator.inspect("q");
    eventually("the jobs are dead", || async {
        inspector.dead(None, 10).await.unwrap().jobs.len() == 3
    })
    .await;
    assert!(operator.pause("q").await.unwrap());
    let dead = inspector.dead(None, 10).await.unwrap().jobs;
    operator.job(dead[0].handle.clone()).remove().await.unwrap();
    operator.job(dead[1].handle.clone()).edit_and_revive(&serde_json::json!(1)).await.unwrap();
    operator.job(dead[2].handle.clone()).revive().await.unwrap();
    let due = producer.enqueue(Number(1)).after(HOUR).await.unwrap();
    operator.job(&due).run_now().await.unwrap();
    let late = producer.enqueue(Number(1)).after(HOUR).keep_completion(HOUR).await.unwrap();
    operator.job(&late).cancel().await.unwrap();
    // No node serves this queue, so that its jobs stay ready.
    let ready = || async { producer.enqueue(Number(1)).queue("idle").await.unwrap() };
    operator.job(&ready().await).cancel().await.unwrap();
    let idle = operator.inspect("idle");
    operator.job(&ready().await).bury("no").await.unwrap();
    let later = producer.enqueue(Number(1)).after(HOUR).keep_completion(HOUR).await.unwrap();
    operator.job(&later).bury("no").await.unwrap();
    operator.job(&ready().await).remove().await.unwrap();
    let at = Timestamp::now() + HOUR;
    operator.job(&ready().await).reschedule(at).await.unwrap();
    assert_eq!(idle.drain().await.unwrap(), 1);
    assert!(operator.resume("q").await.unwrap());

    let pool = operator.pool::<Number>("addressed");
    pool.resize(3).await.unwrap();
    pool.slot(0).stop().await.unwrap();
    pool.slot(0).start().await.unwrap();
    pool.stop().await.unwrap();
    pool.start().await.unwrap();
    operator.pool_set("set").add("addressed").await.unwrap();
    operator.pool_set("set").remove("addressed").await.unwrap();

    let view = SavedView::new("dead", "/jobs?state=dead").unwrap();
    operator.save_view(&view).await.unwrap();
    assert_eq!(operator.saved_views().await.unwrap(), [view]);
    assert!(operator.remove_view("dead").await.unwrap());

    let schedules = operator.schedules("q");
    let hourly = operator.schedule("hourly", "1h", Number(1)).prepare().unwrap();
    worker.client.declare_schedules("fleet", "1", &[hourly]).await.unwrap();
    schedules.pause("hourly").await.unwrap();
    schedules.resume("hourly").await.unwrap();
    schedules.run_now("hourly").await.unwrap();
    assert!(schedules.remove("hourly").await.unwrap());
    let errors = operator.errors().await.unwrap();
    for group in &errors {
        operator.mute_errors(group, HOUR).until_deploy().await.unwrap();
        assert!(operator.unmute_errors(group).await.unwrap());
    }
    let silent = format!("{}:{{roster}}:nodes", guarded.namespace);
    guarded.server.command(&["ZADD", &silent, "1", "silent"]).unwrap();
    operator.forget_node("silent").await.unwrap();
    let name = operator.nodes().await.unwrap()[0].name.clone();
    operator.quiet_node(&name).await.unwrap();
    operator.stop_node(&name).await.unwrap();
    node.stop().await;
    assert_eq!(guarded.denials("operator"), Vec::<String>::new(), "the operator lacks something");
}

#[tokio::test]
async fn an_exporter_counts_without_reading_jobs() {
    let Some(guarded) = Guarded::with_selectors("exporter") else { return };
    let (worker, exporter) = (guarded.user("worker"), guarded.user("exporter").client);
    let reader = guarded.user("reader").client;
    let receipt = worker.client.enqueue(Number(1)).await.unwrap();
    worker.client.enqueue(Number(1)).after(HOUR).await.unwrap();
    let view = exporter.inspect("q").overview().await.unwrap();
    assert_eq!((view.ready(), view.due), (1, 1));
    assert_eq!(exporter.queues().await.unwrap().len(), 1);
    assert!(exporter.nodes().await.unwrap().is_empty());
    assert!(exporter.job(&receipt).view().await.unwrap_err().is_auth());
    assert!(reader.job(&receipt).view().await.unwrap().is_some());
    let why = reader.job(&receipt).explain().await.unwrap();
    assert!(!why.checks.is_empty() && reader.job(&receipt).ahead().await.is_ok());
    assert!(reader.job(JobId::generate().in_queue("q")).explain().await.is_ok());
    assert!(reader.job(&receipt).blast_radius().await.is_ok());
    let diagnosis = reader.doctor().await.unwrap();
    assert!(!diagnosis.findings.iter().any(|found| found.code == "info_denied"), "{diagnosis}");
    assert_eq!(reader.status().await.unwrap().queues.len(), 1);
    // The overview names the oldest ready job to users who may read jobs, and the exporter asked
    // for a job.
    let denied = guarded.denials("exporter");
    let reads = ["xrange", "xpending", "zscore"];
    assert!(denied.iter().all(|it| reads.contains(&it.as_str())), "{denied:?}");
}

/// Returns the names of the metrics of a namespace that have no sample in the text.
fn missing(text: &str) -> Vec<&'static str> {
    let has = |name: &str| text.lines().any(|line| line.starts_with(&format!("{name}{{")));
    let of_namespace = |metric: &&&Metric| metric.labels.first() == Some(&"namespace");
    let names = catalogue::ALL.iter().filter(of_namespace).map(|metric| metric.name);
    names.filter(|name| !has(name)).collect()
}

/// Each metric comes from a read, so that a read that the rules deny leaves a metric out.
#[tokio::test]
async fn an_exporter_exports_each_metric_but_those_that_take_the_right_to_read_jobs() {
    let Some(guarded) = Guarded::with_selectors("exporter-metrics") else { return };
    let (worker, exporter) = (guarded.user("worker"), guarded.user("exporter").client);
    let metrics = exporter.metrics();
    let handler = worker_fn(async |_: Number, _: Context| Done);
    let node = start(worker.node().pool(Pool::new("q").size(1).worker(handler)));
    worker.client.enqueue(Number(1)).await.unwrap();
    // No node serves this queue, so that its job waits.
    worker.client.enqueue(Number(1)).queue("idle").await.unwrap();
    let most = QueueLimits::new().concurrency(3);
    worker.client.limits("idle").set(most).await.unwrap();
    let often = worker.client.schedule("often", "1s", Number(1)).prepare().unwrap();
    worker.client.declare_schedules("fleet", "1", &[often]).await.unwrap();
    let idle = format!("{{namespace=\"{}\",queue=\"idle\"}}", worker.name());
    let oldest = |text: &str| text.contains(&format!("poolder_queue_oldest_seconds{idle}"));
    let read_until = |wanted: fn(&[&str]) -> bool| {
        let metrics = &metrics;
        eventually("the exporter has read it", move || async move {
            wanted(&missing(&metrics.text().await.unwrap()))
        })
    };
    // Rates come from two looks.
    read_until(|missing| !missing.contains(&"poolder_queue_drain_seconds")).await;
    let text = metrics.text().await.unwrap();
    let left_out =
        ["poolder_schedule_next_timestamp_seconds", "poolder_schedule_last_run_timestamp_seconds"];
    assert_eq!(missing(&text), left_out);
    assert!(text.contains("poolder_queue_jobs") && !oldest(&text), "a job waits:\n{text}");

    for begin in ["(+xrange ", "(+hlen +hscan "] {
        let rule = GUIDE.split('`').find(|part| part.starts_with(begin)).unwrap();
        guarded.server.command(&["ACL", "SETUSER", "exporter", &guarded.own(rule)]).unwrap();
    }
    read_until(|missing| missing.is_empty()).await;
    let text = metrics.text().await.unwrap();
    assert!(oldest(&text), "{text}");
    node.stop().await;
}
