//! The pages of one error, node, kind and job, with their changes; and the form of a new job.

use std::time::Duration;

use axum::http::StatusCode;
use poolder::prelude::*;
use poolder::{Backoff, JobState};
use poolder_web::{Access, Dashboard};

use crate::world::{World, die, eventually, fails, get, page, post, welcome};

async fn view(world: &World) -> poolder::QueueView {
    world.client.inspect("mail").overview().await.unwrap()
}

/// Returns the first link of a page that begins so.
fn link(text: &str, begins: &str) -> String {
    let found = text.split("href=\"").find(|part| part.starts_with(begins));
    let found = found.unwrap_or_else(|| panic!("no link to {begins}: {text}"));
    found.split('"').next().unwrap().replace("&amp;", "&")
}

#[tokio::test(flavor = "multi_thread")]
async fn all_jobs_of_an_error_are_retried_or_buried() {
    let world = World::new("web-error-group");
    die(&world, "ana").await;
    let retry = Policy::default().attempts(9).backoff(Backoff::Fixed(Duration::from_secs(900)));
    for _ in 0..2 {
        world.client.enqueue(welcome("ana")).policy(retry.clone()).await.unwrap();
    }
    let node = world.start(Pool::new("mail").size(2).worker(worker_fn(fails)));
    eventually("two wait for another attempt", || async { view(&world).await.retrying == 2 }).await;
    node.stop().await;
    let router = world.router();
    let list = page(&router, "/errors").await;
    let path = link(&list, "/errors/");
    let text = page(&router, &path).await;
    for part in ["SMTP 451 for", "chart-seen", "Latest dead jobs", "Next retries", "deploy v1"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    let id = path.trim_start_matches("/errors/");
    let asked = page(&router, &link(&text, "/errors/change?action=bury")).await;
    assert!(asked.contains("poolder error bury"), "{asked}");
    let count = asked.split("name=\"count\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(count.parse::<u64>().unwrap(), view(&world).await.retrying, "{asked}");
    let form = |action: &str, count: &str| format!("action={action}&error={id}&count={count}");
    let stale = post(&router, "/errors/change", &form("bury", "0")).await;
    assert_eq!(stale.status, StatusCode::CONFLICT, "{}", stale.text);
    let begun = post(&router, "/errors/change", &form("bury", count)).await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text);
    eventually("they are buried", || async { view(&world).await.dead == 3 }).await;
    let begun = post(&router, "/errors/change", &form("retry", "3")).await;
    assert!(begun.headers["location"].to_str().unwrap().starts_with("/task/"));
    eventually("they run again", || async { view(&world).await.ready() == 3 }).await;
    let reads = Dashboard::new(world.client.clone()).router();
    assert!(!page(&reads, &path).await.contains("Retry all"));
    let refused = post(&reads, "/errors/change", &form("retry", "3")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    for odd in ["/errors/nonsense", "/errors/change?action=mute&error=x"] {
        assert_eq!(get(&router, odd).await.status, StatusCode::BAD_REQUEST, "{odd}");
    }
    assert_eq!(get(&router, "/errors/0123456789ab").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_shows_what_it_holds_and_obeys() {
    let world = World::new("web-node");
    let (go, gone) = tokio::sync::watch::channel(false);
    let worker = worker_fn(move |_: crate::world::Welcome, _: Context| {
        let mut gone = gone.clone();
        async move {
            let _ = gone.wait_for(|gone| *gone).await;
            Ok::<_, String>(())
        }
    });
    world.client.enqueue(welcome("ana")).await.unwrap();
    let node = world.start(Pool::new("mail").size(3).worker(worker));
    eventually("it runs", || async { view(&world).await.running() == 1 }).await;
    let router = world.router();
    let list = page(&router, "/nodes").await;
    let path = link(&list, "/nodes/");
    let text = page(&router, &path).await;
    for part in ["Held now", "ana", "mail.welcome", "alive", "node came", "1 job; searched 1 of 1"]
    {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    let name = world.client.nodes().await.unwrap()[0].name.clone();
    let form = |action: &str| format!("action={action}&node={}", name.replace(':', "%3A"));
    let asked = page(&router, &link(&text, "/confirm?action=node-quiet")).await;
    assert!(
        asked.contains("take no more jobs?") && asked.contains("poolder node quiet"),
        "{asked}"
    );
    let living = post(&router, "/act", &form("node-forget")).await;
    assert_eq!(living.status, StatusCode::CONFLICT, "{}", living.text);
    assert_eq!(post(&router, "/act", &form("node-quiet")).await.status, StatusCode::SEE_OTHER);
    assert!(world.client.nodes().await.unwrap()[0].order.is_some());
    let quiet = page(&world.router(), &path).await;
    assert!(quiet.contains("value=\"node-resume\""), "{quiet}");
    assert_eq!(post(&router, "/act", &form("node-resume")).await.status, StatusCode::SEE_OTHER);
    let order = world.client.nodes().await.unwrap()[0].order;
    assert_ne!(order, Some(poolder_core::broker::NodeOrder::Quiet));
    let operates = Dashboard::new(world.client.clone()).authorize(|_, _| Access::Operate).router();
    assert!(!page(&operates, &path).await.contains("node-quiet"));
    assert_eq!(post(&operates, "/act", &form("node-stop")).await.status, StatusCode::FORBIDDEN);
    go.send(true).unwrap();
    node.stop().await;
    assert_eq!(get(&world.router(), "/nodes/nobody").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_has_its_times_and_a_form_for_a_new_job() {
    let world = World::new("web-kind");
    die(&world, "ana").await;
    let node = world.start(Pool::new("other").size(1).worker(worker_fn(fails)));
    let router = world.router();
    let path = link(&page(&router, "/kinds").await, "/kinds/mail/");
    let text = page(&router, &path).await;
    for part in ["Ends of attempts", "failures in all", "Versions", "SMTP 451 for ana", "chart-run"]
    {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    let form = page(&router, &link(&text, "/enqueue?")).await;
    assert!(form.contains("&quot;to&quot;: &quot;ana&quot;"), "an example: {form}");
    let send = |fields: &str| {
        let (router, fields) = (router.clone(), fields.to_owned());
        async move { post(&router, "/enqueue", &format!("queue=mail&kind=mail.welcome&{fields}")).await }
    };
    for (fields, says) in [
        ("payload=%7B", "This is not JSON"),
        ("payload=1&version=x", "is no number"),
        ("payload=1&lane=deep", "is no lane"),
        ("payload=1&in=soon", "is no time"),
        ("payload=1&attempts=-1", "is no number"),
    ] {
        let again = send(fields).await;
        assert_eq!(again.status, StatusCode::CONFLICT, "{fields}: {}", again.text);
        assert!(again.text.contains(says) && again.text.contains("<form"), "{}", again.text);
    }
    assert_eq!(view(&world).await.ready(), 0);
    let done = send("payload=%7B%22to%22%3A%22zoe%22%7D&lane=high&attempts=3").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let job = page(&router, done.headers["location"].to_str().unwrap()).await;
    assert!(job.contains("zoe") && job.contains("high"), "{job}");
    assert!(
        job.contains("poolder job enqueue mail.welcome &#39;{&quot;to&quot;:&quot;zoe&quot;}&#39; --queue mail --lane high --attempts 3"),
        "{job}"
    );
    let made = poolder::AuditFilter::default().action("job.enqueue");
    assert_eq!(world.client.audit(&made, None, 5).await.unwrap().entries.len(), 1);
    send("payload=null&in=1h&id=one").await;
    assert_eq!(view(&world).await.due, 1);
    let reads = Dashboard::new(world.client.clone()).router();
    let form = "queue=mail&kind=a&payload=1";
    assert_eq!(post(&reads, "/enqueue", form).await.status, StatusCode::FORBIDDEN);
    assert_eq!(get(&reads, "/enqueue").await.status, StatusCode::FORBIDDEN);
    // Where payloads are hidden, none is an example.
    let hides = world.dashboard().hide_payloads().router();
    assert!(!page(&hides, "/enqueue?queue=mail&kind=mail.welcome").await.contains("ana"));
    assert_eq!(get(&router, "/kinds/mail/nothing").await.status, StatusCode::NOT_FOUND);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_have_a_page_and_a_job_its_blast_radius() {
    let world = World::new("web-dead-page");
    die(&world, "ana").await;
    let router = world.router();
    let text = page(&router, "/jobs?state=dead").await;
    assert!(text.contains("<h1>Dead jobs</h1>"), "{text}");
    assert!(text.contains("href=\"/jobs?state=dead\" aria-current=\"page\""), "{text}");
    let job = link(&text, "/job/");
    let job = job.trim_start_matches("/job/");
    let radius = page(&router, &format!("/blast/{job}")).await;
    assert!(radius.contains("No node died while it ran."), "{radius}");
    let state = world.client.job(job.parse::<poolder::Handle>().unwrap()).state().await.unwrap();
    assert_eq!(state, Some(JobState::Dead));
    assert_eq!(get(&router, "/blast/nonsense").await.status, StatusCode::BAD_REQUEST);
}
