//! Payloads, errors and names that want to be more than text.

use axum::body::Body;
use axum::http::Request;
use poolder_core::broker::PreparedJob;
use poolder_core::{Envelope, Format, JobId, Partition, QueueName};

use crate::world::{World, die, get, page, welcome};

const SCRIPT: &str = "</pre><script>alert(1)</script>\u{202e}\u{200b}\"'";

/// Fails when the text holds markup or unseen characters of the hostile text.
fn is_harmless(path: &str, text: &str) {
    assert!(!text.contains("<script>") && !text.contains(" onfocus=\""), "{path}: {text}");
    assert!(!text.contains(['\u{202e}', '\u{200b}', '\0', '\u{1b}']), "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn markup_in_payloads_errors_and_filters_is_text() {
    let world = World::new("web-hostile");
    let ready = world.client.enqueue(welcome(SCRIPT)).header("tenant", "<b onload=x>");
    ready.queue("idle").await.unwrap();
    die(&world, SCRIPT).await;
    let router = world.router();
    let filter = "%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%20onfocus=%22x";
    let mut paths = vec![
        "/".to_owned(),
        format!("/queues/mail?state=dead&where={filter}"),
        "/queues/mail?state=dead".to_owned(),
        "/queues/idle?state=ready".to_owned(),
        "/jobs?state=dead".to_owned(),
        format!("/search?q={filter}"),
        format!("/{filter}"),
        format!("/queues/{filter}"),
        format!("/nodes/{filter}"),
        format!("/kinds/mail/{filter}"),
        format!("/errors/{filter}"),
        format!("/errors/change?action={filter}&error={filter}"),
        format!("/batches?name=mail%2F{filter}"),
        format!("/batches/mail/{filter}"),
        format!("/pools/mail?key={filter}"),
        format!("/queues/mail/keys?key={filter}"),
        format!("/enqueue?queue=mail&kind={filter}&payload={filter}&lane={filter}"),
        format!("/schedules/form?schedule={filter}&queue=mail"),
        format!("/schedules/form?timing={filter}&kind={filter}"),
        format!("/confirm?action=node-stop&node={filter}&back={filter}"),
        format!("/confirm?action=schedule-remove&queue=mail&schedule={filter}"),
        format!(
            "/confirm?action=batch-pop&queue=mail&batcher={filter}&group={filter}&index={filter}"
        ),
        format!("/blast/{filter}"),
        format!("/task/{filter}"),
        "/errors".to_owned(),
        "/nodes".to_owned(),
        "/kinds".to_owned(),
    ];
    for list in ["mail?state=dead", "idle?state=ready"] {
        let list = page(&router, &format!("/queues/{list}")).await;
        let job = list.split("href=\"").find(|part| part.starts_with("/job/")).unwrap();
        paths.push(job.split('"').next().unwrap().to_owned());
    }
    for path in &paths {
        is_harmless(path, &get(&router, path).await.text);
    }
    let shown = page(&router, paths.last().unwrap()).await;
    assert!(shown.contains("&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}\\u{200b}"), "{shown}");
}

#[tokio::test]
async fn large_deep_and_unreadable_payloads_are_shown_in_part() {
    let world = World::new("web-large");
    world.client.enqueue(welcome(&"<é".repeat(300_000))).await.unwrap();
    let broken = |payload: &'static [u8], format| {
        let id = JobId::generate();
        let envelope = Envelope::build(id, "broken", 1, None, format, |out| {
            out.extend(payload);
            Ok(())
        });
        PreparedJob::new(Partition::first(QueueName::new("mail").unwrap()), envelope.unwrap())
    };
    let deep: &'static [u8] = Box::leak(vec![b'['; 100_000].into_boxed_slice());
    let jobs = [
        broken(b"\xff\xfe<script>", Format::Json),
        broken(b"\xd9\xff<script>\0", Format::MessagePack),
        broken(deep, Format::Json),
    ];
    for job in jobs {
        world.client.broker().enqueue(&job).await.unwrap();
    }
    let router = world.router();
    let list = page(&router, "/queues/mail?state=ready").await;
    is_harmless("list", &list);
    assert!(list.len() < 200_000, "a list has previews only: {}", list.len());
    let links: Vec<_> = list.split("href=\"").filter(|part| part.starts_with("/job/")).collect();
    assert_eq!(links.len(), 4);
    for link in links {
        let path = link.split('"').next().unwrap();
        let text = page(&router, path).await;
        is_harmless(path, &text);
        assert!(text.len() < 1_000_000, "{path}: {}", text.len());
    }
    // No page is large on its way, either.
    let request = Request::get("/queues/mail").header("accept-encoding", "gzip");
    let answer =
        tower::ServiceExt::oneshot(router, request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    assert!(bytes.len() < 60 * 1_024, "{}", bytes.len());
}

#[tokio::test]
async fn the_hook_leaves_out_what_visitors_may_not_see() {
    let world = World::new("web-redact");
    world.client.enqueue(welcome("secret@example.org")).await.unwrap();
    let redacted = world.dashboard().redact(|job, payload| {
        assert_eq!(job.kind(), Some("mail.welcome"));
        payload["to"] = "(hidden)".into();
    });
    for (router, shown) in [
        (redacted.router(), "(hidden)"),
        (world.dashboard().hide_payloads().router(), "hidden on this dashboard"),
    ] {
        let list = page(&router, "/queues/mail?state=ready").await;
        let job = list.split("href=\"").find(|part| part.starts_with("/job/")).unwrap();
        let job = page(&router, job.split('"').next().unwrap()).await;
        for text in [list, job, page(&router, "/jobs").await] {
            assert!(!text.contains("secret") && text.contains(shown), "{text}");
        }
    }
}
