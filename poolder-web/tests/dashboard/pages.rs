//! The pages show what is there.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use poolder::prelude::*;
use poolder_core::history::{JournalEvent, JournalRecord};

use crate::world::{World, die, eventually, get, page, post, welcome};

#[tokio::test]
async fn the_overview_has_the_queues_with_links_that_work_under_a_prefix() {
    let world = World::new("web-overview");
    for _ in 0..1_234 {
        world.client.enqueue(welcome("ana")).await.unwrap();
    }
    world.client.pause("mail").await.unwrap();
    let app: Router = Router::new().nest_service("/ops/jobs", world.router());
    for path in ["/ops/jobs", "/ops/jobs/"] {
        let text = page(&app, path).await;
        assert!(text.contains("<a href=\"/ops/jobs/queues/mail\">mail</a>"), "{text}");
        assert!(text.contains("1,234") && text.contains("paused"), "{text}");
        assert!(text.contains("href=\"/ops/jobs/assets/poolder-"), "{text}");
        assert!(text.contains("data-live=\"/ops/jobs/live/overview?range=1h\""), "{text}");
    }
    let proxied = world.dashboard().prefix("ops/jobs/").router();
    assert!(page(&proxied, "/").await.contains("href=\"/ops/jobs/queues/mail\""));
    for path in ["/ops/jobs/queues", "/ops/jobs/queues?sort=dead&range=6w", "/ops/jobs/jobs"] {
        assert!(page(&app, path).await.contains("mail"), "{path}");
    }
    let missing = get(&app, "/ops/jobs/queues/other").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.text.contains("There is no queue other."), "{}", missing.text);
    assert_eq!(get(&app, "/ops/jobs/queues/not%20a%20name").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(get(&app, "/ops/jobs/nonsense").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_namespace_without_a_queue_has_an_overview() {
    let router = World::new("web-empty").router();
    let text = page(&router, "/").await;
    assert!(text.contains("Nothing needs a person.") && text.contains("No queue was used yet."));
    assert!(page(&router, "/jobs").await.contains("No job was found."));
}

#[tokio::test]
async fn a_filter_finds_jobs_and_says_how_far_it_looked() {
    let world = World::new("web-filter");
    for number in 0..120 {
        world.client.enqueue(welcome(&format!("user{number}"))).await.unwrap();
    }
    let router = world.router();
    let text = page(&router, "/queues/mail?state=ready").await;
    assert!(text.contains("50 jobs of 120.") && text.contains("Next page"), "{text}");
    let next = text.split("href=\"").filter_map(|part| part.split('"').next());
    let next = next.filter(|link| link.contains("cursor=")).last().unwrap();
    let next = next.split('#').next().unwrap().replace("&amp;", "&");
    let second = page(&router, &next).await;
    assert!(second.contains("First page") && second.contains("user50"), "{second}");
    assert!(!second.contains("user49&quot;"), "{second}");

    let text = page(&router, "/queues/mail?state=ready&where=payload.to%3Duser7").await;
    assert!(text.contains("1 job found; searched 120 of 120."), "{text}");
    let text = page(&router, "/jobs?state=ready&where=payload.to%3Duser7").await;
    assert!(text.contains("1 job of 120 in 1 queue; searched 120."), "{text}");
    let text = page(&router, "/queues/mail?where=nonsense").await;
    assert!(text.contains("role=\"alert\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_has_its_error_its_attempts_and_the_reason() {
    let world = World::new("web-dead");
    die(&world, "ana").await;
    let router = world.router();
    let list = page(&router, "/queues/mail?state=dead").await;
    assert!(list.contains("SMTP 451 for ana") && list.contains("By error"), "{list}");
    let link = list.split("href=\"").find(|part| part.starts_with("/job/")).unwrap();
    let text = page(&router, link.split('"').next().unwrap()).await;
    assert!(text.contains("SMTP 451 for ana"), "{text}");
    assert!(text.contains("<span class=\"k\">&quot;to&quot;</span>"), "{text}");
    assert!(text.contains("Why is it not running?") && text.contains("Attempts that failed"));
    let id = text.split("id=\"job-id\">").nth(1).unwrap().split('<').next().unwrap();
    let found = get(&router, &format!("/search?q={id}")).await;
    assert_eq!(found.status, StatusCode::SEE_OTHER);
    assert!(found.headers["location"].to_str().unwrap().starts_with("/job/mail"));
    for (asked, leads) in [("mail", "/queues/mail"), ("mail.w", "/jobs?where=kind%3Dmail.w%2A")] {
        let found = get(&router, &format!("/search?q={asked}")).await;
        assert_eq!(found.headers["location"], leads);
    }
    let unknown = "019e7c2f-41d8-7b02-9d6e-1f0a55c4e81b";
    let missing = get(&router, &format!("/search?q={unknown}")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    // A job that has ended since the list was read.
    assert_eq!(get(&router, &format!("/job/mail.0/{unknown}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&router, "/job/nonsense").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_shows_its_progress_and_a_done_one_its_result() {
    let world = World::new("web-running");
    let (go, gone) = tokio::sync::watch::channel(false);
    let worker = worker_fn(move |_: crate::world::Welcome, cx: Context| {
        let mut gone = gone.clone();
        async move {
            cx.progress(3, 12).await.unwrap();
            let _ = gone.wait_for(|gone| *gone).await;
            Ok::<_, String>(poolder::Return(std::collections::BTreeMap::from([("sent", true)])))
        }
    });
    let receipt = world.client.enqueue(welcome("ana")).keep_completion(Duration::from_secs(60));
    let receipt = receipt.await.unwrap();
    let node = world.start(Pool::new("mail").size(1).worker(worker));
    let (router, path) = (world.router(), format!("/job/mail.0/{}", receipt.job));
    eventually("the progress is shown", || async {
        page(&router, &path).await.contains("3 of 12")
    })
    .await;
    assert!(page(&router, &path).await.contains("How does it run?"));
    go.send(true).unwrap();
    eventually("the result is shown", || async {
        let answer = get(&router, &path).await;
        answer.text.contains("&quot;sent&quot;: true")
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn the_theme_is_kept_in_a_cookie_and_leads_back() {
    let router = World::new("web-theme").router();
    let answer = post(&router, "/theme", "theme=dark&back=%2Fqueues").await;
    assert_eq!(
        (answer.status, &answer.headers["location"]),
        (StatusCode::SEE_OTHER, &"/queues".parse().unwrap())
    );
    assert!(
        answer.headers["set-cookie"].to_str().unwrap().starts_with("poolder-theme=dark; Path=/;")
    );
    let elsewhere = post(&router, "/theme", "theme=x&back=%2F%2Fevil").await;
    assert_eq!(elsewhere.headers["location"], "/");
}

#[tokio::test]
async fn charts_mark_the_deaths_of_nodes() {
    let world = World::new("web-deaths");
    world.client.enqueue(welcome("ana")).await.unwrap();
    let broker = world.client.broker();
    for event in [JournalEvent::NodeLeft, JournalEvent::NodeDied] {
        let mut record = JournalRecord::new(event);
        record.node = format!("mail-3:17:{event}");
        broker.add_to_journal(&record).await.unwrap();
    }
    let router = world.router();
    for path in ["/", "/queues/mail", "/?range=6w"] {
        let text = page(&router, path).await;
        assert!(text.contains("class=\"mark-t is-bad\""), "{path}: {text}");
        // In each of two charts: in the picture, in the data of the script, and in the table.
        assert_eq!(text.matches("node mail-3:17 died").count(), 6, "{path}: {text}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_named() {
    let answer = get(&World::without_server().router(), "/").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text.contains("Redis does not answer"), "{}", answer.text);
}
