//! Views of lists of jobs: saved for all dashboards, and removed.

use axum::http::StatusCode;
use poolder::SavedView;
use poolder_web::{Access, Dashboard};

use crate::world::{World, get, page, post, welcome};

const PATH: &str = "/queues/mail?state=ready&where=payload.to%3Dana";

/// Returns the form that saves the list of a path, or removes its view.
fn form(action: &str, name: &str, path: &str) -> String {
    let path = path.replace('%', "%25").replace('&', "%26").replace('=', "%3D");
    format!("action={action}&name={name}&path={path}")
}

#[tokio::test]
async fn a_view_is_saved_for_all_dashboards_and_removed() {
    let world = World::new("web-views");
    world.client.enqueue(welcome("ana")).await.unwrap();
    let (router, other) = (world.dashboard().actor(|_| "ann".into()).router(), world.router());
    assert!(page(&router, PATH).await.contains("Save this view for all visitors as"));
    let saved = post(&router, "/views", &form("save", "%3Cb%3Eana", PATH)).await;
    assert_eq!(
        (saved.status, &saved.headers["location"]),
        (StatusCode::SEE_OTHER, &PATH.parse().unwrap())
    );
    for path in ["/jobs?state=ready", "/queues/mail?state=dead"] {
        let list = page(&other, path).await;
        assert!(list.contains(">&lt;b&gt;ana</a>") && !list.contains("<b>ana"), "{list}");
        assert!(!list.contains("value=\"remove\""), "{list}");
    }
    assert!(page(&other, PATH).await.contains("value=\"remove\""));
    let again = post(&router, "/views", &form("save", "%3Cb%3Eana", "/jobs?where=kind%3Da")).await;
    let said = again.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(said.contains("in%20place%20of%20the%20one%20before"), "{said}");
    assert_eq!(world.client.saved_views().await.unwrap()[0].path, "/jobs?where=kind%3Da");
    for _ in 0..2 {
        let removed = post(&router, "/views", &form("remove", "%3Cb%3Eana", PATH)).await;
        assert_eq!(removed.status, StatusCode::SEE_OTHER);
    }
    assert!(world.client.saved_views().await.unwrap().is_empty());
    let audit = page(&router, "/audit").await;
    assert!(audit.contains("view.save") && audit.contains("view.remove"), "{audit}");
    for (name, path) in [("", "/jobs"), ("a", "//evil"), ("a", "/act"), ("a%0Ab", "/jobs")] {
        let refused = post(&router, "/views", &form("save", name, path)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{name} {path}");
    }
}

#[tokio::test]
async fn views_are_saved_by_visitors_who_may_change_something_and_seen_with_their_queues() {
    let world = World::new("web-views-rights");
    world.client.enqueue(welcome("ana")).await.unwrap();
    let view = |name: &str, path: &str| SavedView::new(name, path).unwrap();
    world.client.save_view(&view("of mail", PATH)).await.unwrap();
    world.client.save_view(&view("of all", "/jobs?where=kind%3Da")).await.unwrap();
    let reads = Dashboard::new(world.client.clone());
    let routers = [world.dashboard().read_only().router(), reads.clone().router()];
    for router in &routers {
        let list = page(router, PATH).await;
        assert!(list.contains(">of mail</a>") && !list.contains("action=\"/views\""), "{list}");
        for action in ["save", "remove"] {
            let refused = post(router, "/views", &form(action, "of all", PATH)).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{action}");
        }
    }
    let some = reads.authorize(|_, queue| match queue {
        Some("mail") => Access::None,
        _ => Access::Operate,
    });
    let list = page(&some.router(), "/jobs").await;
    assert!(list.contains(">of all</a>") && !list.contains("of mail"), "{list}");
    assert_eq!(world.client.saved_views().await.unwrap().len(), 2);
}

#[tokio::test]
async fn there_are_at_most_a_hundred_views_and_rubbish_is_left_out() {
    let world = World::new("web-views-many");
    let view = |at: u32| SavedView::new(format!("view {at:03}"), "/jobs?state=dead").unwrap();
    for at in 0..100 {
        assert!(world.client.save_view(&view(at)).await.unwrap());
    }
    let router = world.router();
    let refused = post(&router, "/views", &form("save", "more", "/jobs?where=kind%3Da")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("100 views are saved already"), "{}", refused.text);
    // One of a name that is there is replaced.
    assert!(!world.client.save_view(&view(7)).await.unwrap());
    assert!(world.client.remove_view("view 099").await.unwrap());
    let key = format!("{}:{{roster}}:views", world.client.broker().namespace());
    let server = poolder_devserver::shared().unwrap();
    server.command(&["HSET", &key, "evil", "https://evil.example", "", "/jobs"]).unwrap();
    let seen = world.client.saved_views().await.unwrap();
    assert_eq!((seen.len(), seen[98].name.as_str()), (99, "view 098"));
    server.command(&["DEL", &key]).unwrap();
    server.command(&["SET", &key, "rubbish"]).unwrap();
    assert_eq!(get(&router, "/jobs").await.status, StatusCode::OK);
}
