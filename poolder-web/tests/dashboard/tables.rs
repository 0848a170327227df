//! The pages that are tables: errors, schedules, nodes, kinds, audit, server.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use poolder::prelude::*;
use poolder_web::{Access, Dashboard};

use crate::world::{World, die, eventually, fails, page, post, send, welcome};

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_kinds_lead_to_their_jobs() {
    let world = World::new("web-tables");
    // The counts of a node are written when it stops.
    die(&world, "ana").await;
    let router = world.router();
    let errors = page(&router, "/errors").await;
    assert!(errors.contains("SMTP 451 for ana") && errors.contains("1 group"), "{errors}");
    let link = errors.split("href=\"").find(|part| part.contains("state=dead&amp;where=error"));
    let link = link.unwrap().split('"').next().unwrap().replace("&amp;", "&");
    assert!(page(&router, &link).await.contains("1 job found; searched 1 of 1."), "{link}");
    let kinds = page(&router, "/kinds?range=15m").await;
    assert!(kinds.contains(">mail.welcome</a>") && kinds.contains("100 %"), "{kinds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_server_audit_and_journal_are_shown() {
    let world = World::new("web-nodes");
    let node = world.start(Pool::new("mail").size(3).worker(worker_fn(fails)));
    eventually("the node is known", || async { !world.client.nodes().await.unwrap().is_empty() })
        .await;
    let router = world.dashboard().actor(|_| "ann".into()).router();
    let nodes = page(&router, "/nodes").await;
    assert!(nodes.contains("mail 3") && nodes.contains("mail.welcome v1"), "{nodes}");
    let server = page(&router, "/server").await;
    assert!(server.contains("Valkey") || server.contains("Redis"), "{server}");
    assert!(page(&router, "/audit").await.contains("Nothing was changed yet."));
    world.client.enqueue(welcome("ana")).queue("idle").await.unwrap();
    post(&router, "/act", "action=pause&queue=mail").await;
    let audit = page(&router, "/audit").await;
    assert!(audit.contains("queue.pause") && audit.contains(">ann"), "{audit}");
    node.stop().await;
    let journal = page(&router, "/journal").await;
    assert!(journal.contains(">node left<") && journal.contains("mail.0"), "{journal}");
    // A visitor who does not see all queues does not learn of them.
    let some = Dashboard::new(world.client.clone()).authorize(|_, queue| match queue {
        Some("idle") => Access::None,
        _ => Access::Read,
    });
    let some = some.router();
    for path in ["/audit", "/journal"] {
        let ask = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(send(&some, ask).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn schedules_have_their_next_runs() {
    let world = World::new("web-schedules");
    let router = world.router();
    assert!(page(&router, "/schedules").await.contains("There is no schedule."));
    world.client.schedule("digest", "30 7 * * *", welcome("ana")).await.unwrap();
    // The first dashboard has looked at the queues a moment ago.
    let text = page(&world.router(), "/schedules").await;
    assert!(text.contains("digest") && text.contains("30 7 * * *"), "{text}");
    assert!(text.matches("07:30:00 UTC").count() >= 3, "{text}");
    assert!(!text.contains("class=\"marks\""), "{text}");
    let info = world.client.schedules("mail").get("digest").await.unwrap().unwrap();
    let tick = info.next.unwrap();
    world.client.broker().publish_ticks_as_of(&info.partition, "n1", Some(tick)).await.unwrap();
    let text = page(&world.router(), "/schedules").await;
    assert!(text.contains("under way, or its end is not known"), "{text}");
    let run = &world.client.schedules("mail").get("digest").await.unwrap().unwrap().last_runs[0];
    assert!(text.contains(&format!("/job/mail.0/{}\"", run.job)), "{text}");
}
