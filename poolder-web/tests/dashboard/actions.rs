//! Changes: their effect, their questions, their rights, and the line that they leave.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use poolder_core::history::AuditFilter;
use poolder_web::{Access, Dashboard};

use crate::world::{World, die, get, page, post, send, welcome};

async fn view(world: &World) -> poolder::QueueView {
    world.client.inspect("mail").overview().await.unwrap()
}

/// Returns the actions of the audit, the latest first.
async fn audit(world: &World) -> Vec<(String, String, String)> {
    let page = world.client.audit(&AuditFilter::default(), None, 20).await.unwrap();
    let entry = |entry: poolder_core::history::AuditEntry| {
        (entry.record.action.clone(), entry.record.actor.clone(), entry.record.via.clone())
    };
    page.entries.into_iter().map(entry).collect()
}

/// Returns the link to the first job of a list.
fn job(list: &str) -> String {
    let link = list.split("href=\"").find(|part| part.starts_with("/job/")).unwrap();
    link.split('"').next().unwrap().trim_start_matches("/job/").to_owned()
}

#[tokio::test]
async fn a_queue_is_paused_and_resumed_and_the_page_says_so_once() {
    let world = World::new("web-pause");
    world.client.enqueue(welcome("ana")).await.unwrap();
    let router = world.dashboard().actor(|_| "ann".into()).router();
    assert!(page(&router, "/queues/mail").await.contains("value=\"pause\""));
    let form = "action=pause&queue=mail&back=%2Fqueues%2Fmail%3Fstate%3Dready";
    let done = post(&router, "/act", form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert_eq!(done.headers["location"], "/queues/mail?state=ready");
    assert!(view(&world).await.paused.is_some());
    let cookie = done.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let ask = Request::get("/queues/mail").header("cookie", cookie).body(Body::empty()).unwrap();
    let shown = send(&router, ask).await;
    assert!(
        shown.text.contains("Paused mail. The same: poolder queue pause mail"),
        "{}",
        shown.text
    );
    assert!(shown.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    post(&router, "/act", "action=resume&queue=mail").await;
    assert!(view(&world).await.paused.is_none());
    let audit = audit(&world).await;
    let by_ann = |action: &str| (action.to_owned(), "ann".to_owned(), "dashboard".to_owned());
    assert_eq!(audit, [by_ann("queue.resume"), by_ann("queue.pause")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_revived_and_one_that_vanished_under_the_click_is_named() {
    let world = World::new("web-revive");
    die(&world, "ana").await;
    let router = world.router();
    let handle = job(&page(&router, "/queues/mail?state=dead").await);
    assert!(page(&router, &format!("/job/{handle}")).await.contains("value=\"revive\""));
    let form = format!("action=revive&job={handle}&back=%2Fqueues%2Fmail");
    assert_eq!(post(&router, "/act", &form).await.status, StatusCode::SEE_OTHER);
    let now = view(&world).await;
    assert_eq!((now.dead, now.ready()), (0, 1));
    let again = post(&router, "/act", &form).await;
    assert!(again.status.is_client_error(), "{}", again.status);
    assert!(again.text.contains("<h1>"), "{}", again.text);
}

#[tokio::test]
async fn single_jobs_run_now_are_cancelled_and_deleted() {
    let world = World::new("web-jobs");
    for to in ["ana", "bob", "cleo", "dan"] {
        world.client.enqueue(welcome(to)).after(Duration::from_secs(3_600)).await.unwrap();
    }
    let router = world.router();
    for (action, due) in [("cancel", 3), ("delete", 2), ("bury", 1), ("run-now", 0)] {
        let handle = job(&page(&router, "/queues/mail?state=scheduled").await);
        let asked = get(&router, &format!("/confirm?action={action}&job={handle}")).await;
        assert!(asked.text.contains("poolder job "), "{}", asked.text);
        let form = format!("action={action}&job={handle}");
        assert_eq!(post(&router, "/act", &form).await.status, StatusCode::SEE_OTHER, "{action}");
        let now = view(&world).await;
        // Without a node a job that is due now stays where it is.
        let later = world.client.inspect("mail").due(None, 10).await.unwrap().jobs;
        let later = later.iter().filter(|job| job.at > now.now).count();
        assert_eq!(later, due, "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_are_deleted_only_by_the_name_and_the_number_of_the_question() {
    let world = World::new("web-drain");
    die(&world, "ana").await;
    for _ in 0..12 {
        world.client.enqueue(welcome("bob")).await.unwrap();
    }
    let router = world.router();
    let asked = page(&router, "/confirm?action=drain&queue=mail").await;
    assert!(asked.contains("Delete 12 jobs of mail that wait or are due later?"), "{asked}");
    assert!(asked.contains("poolder queue drain mail") && asked.contains("value=\"12\""));
    let drain = |typed: &str, count: u64| {
        let (router, form) =
            (router.clone(), format!("action=drain&queue=mail&typed={typed}&count={count}"));
        async move { post(&router, "/act", &form).await }
    };
    let wrong = drain("mial", 12).await;
    assert!(wrong.status == StatusCode::CONFLICT && wrong.text.contains("Type the name mail"));
    let stale = drain("mail", 11).await;
    assert!(stale.text.contains("There were 11 jobs, and now there are 12."), "{}", stale.text);
    assert_eq!(view(&world).await.ready(), 12);
    assert_eq!(drain("mail", 12).await.status, StatusCode::SEE_OTHER);
    let now = view(&world).await;
    assert_eq!((now.ready(), now.dead), (0, 1));
    let purged = post(&router, "/act", "action=purge&queue=mail&typed=mail&count=1").await;
    assert_eq!((purged.status, view(&world).await.dead), (StatusCode::SEE_OTHER, 0));
    assert!(audit(&world).await.iter().any(|(action, ..)| action == "queue.drain"));
}

#[tokio::test]
async fn rights_are_checked_for_each_action_and_queue() {
    let world = World::new("web-act-rights");
    world.client.enqueue(welcome("ana")).await.unwrap();
    let with = |access: Access| {
        let dashboard = Dashboard::new(world.client.clone());
        dashboard.authorize(move |_, queue| match queue {
            Some("mail") => access,
            _ => Access::Admin,
        })
    };
    let drain = "action=drain&queue=mail&typed=mail&count=1";
    for (router, form, status) in [
        (with(Access::Read).router(), "action=pause&queue=mail", StatusCode::FORBIDDEN),
        (with(Access::Operate).router(), drain, StatusCode::FORBIDDEN),
        (with(Access::None).router(), "action=pause&queue=mail", StatusCode::NOT_FOUND),
        (world.dashboard().read_only().router(), drain, StatusCode::FORBIDDEN),
        (world.router(), "action=nonsense&queue=mail", StatusCode::BAD_REQUEST),
        (world.router(), "action=pause&queue=not%20a%20name", StatusCode::BAD_REQUEST),
        (world.router(), "action=cancel&job=nonsense", StatusCode::BAD_REQUEST),
        (with(Access::Operate).router(), "action=pause&queue=mail", StatusCode::SEE_OTHER),
    ] {
        assert_eq!(post(&router, "/act", form).await.status, status, "{form}");
    }
    let text = page(&with(Access::Read).router(), "/queues/mail").await;
    assert!(!text.contains("value=\"pause\"") && !text.contains("value=\"resume\""), "{text}");
    let foreign = Request::post("/act").header("sec-fetch-site", "cross-site");
    let foreign = foreign.body(Body::from(drain)).unwrap();
    assert_eq!(send(&world.router(), foreign).await.status, StatusCode::FORBIDDEN);
    assert_eq!(view(&world).await.ready(), 1);
}
