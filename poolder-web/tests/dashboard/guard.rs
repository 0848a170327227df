//! Rights, other sites, and the headers of security.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use poolder_web::{Access, Dashboard};

use crate::world::{World, get, page, send, welcome};

#[tokio::test]
async fn every_answer_has_the_headers_and_no_page_has_a_script_or_a_style_in_line() {
    let world = World::new("web-headers");
    world.client.enqueue(welcome("ana")).await.unwrap();
    let router = world.router();
    for path in [
        "/",
        "/queues",
        "/queues/mail",
        "/jobs",
        "/nonsense",
        "/robots.txt",
        "/search?q=x",
        "/errors",
        "/schedules",
        "/nodes",
        "/kinds",
        "/journal",
        "/audit",
        "/server",
        "/batches",
        "/pools",
        "/enqueue?queue=mail&kind=mail.welcome",
        "/schedules/form",
        "/queues/mail/keys",
        "/jobs?state=dead",
        "/confirm?action=drain&queue=mail",
        "/confirm?action=node-stop&node=a",
        "/task/none",
    ] {
        let answer = get(&router, path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        for inline in [" style=", "<style", "onclick=", "hx-on", "javascript:"] {
            assert!(!answer.text.contains(inline), "{path} has {inline}");
        }
        let scripts = answer.text.matches("<script").count();
        assert_eq!(scripts, answer.text.matches("<script src=").count(), "{path}");
    }
    let text = page(&router, "/").await;
    let links = text.split('"').filter(|part| part.starts_with("/assets/"));
    let mut sizes = 0;
    for link in links.collect::<std::collections::BTreeSet<_>>() {
        let asset = get(&router, link).await;
        assert_eq!(asset.status, StatusCode::OK, "{link}");
        assert!(asset.headers["cache-control"].to_str().unwrap().contains("immutable"));
        let request = Request::get(link).header("accept-encoding", "gzip").body(Body::empty());
        let zipped = axum::body::to_bytes(
            tower::ServiceExt::oneshot(router.clone(), request.unwrap()).await.unwrap().into_body(),
            usize::MAX,
        );
        sizes += zipped.await.unwrap().len();
    }
    assert!((20_000..60 * 1_024).contains(&sizes), "the assets have {sizes} bytes");
}

#[tokio::test]
async fn a_visitor_sees_the_queues_of_the_hook_and_nothing_without_rights() {
    let world = World::new("web-rights");
    world.client.enqueue(welcome("ana")).await.unwrap();
    world.client.enqueue(welcome("bob")).queue("billing").await.unwrap();
    let dashboard = Dashboard::new(world.client.clone());
    let router = dashboard
        .clone()
        .authorize(|request, queue| match (request.headers.get("x-user"), queue) {
            (None, _) => Access::None,
            (_, Some("billing")) => Access::None,
            _ => Access::Read,
        })
        .actor(|_| "ann".into())
        .router();
    assert_eq!(get(&router, "/").await.status, StatusCode::FORBIDDEN);
    assert_eq!(get(&router, "/live/overview").await.status, StatusCode::FORBIDDEN);
    let ask = |path: &str| {
        let request = Request::get(path).header("x-user", "ann").body(Body::empty()).unwrap();
        let router = router.clone();
        async move { send(&router, request).await }
    };
    for path in ["/", "/queues", "/jobs?state=ready"] {
        let answer = ask(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert!(answer.text.contains("mail") && !answer.text.contains("billing"), "{path}");
        assert!(answer.text.contains("ann, read"), "{path}");
    }
    let id = world.client.inspect("billing").ready(poolder::Lane::Normal, None, 1).await.unwrap();
    let hidden = [
        "/queues/billing".to_owned(),
        "/queues/billing?state=ready".to_owned(),
        format!("/job/{}", id.jobs[0].handle),
        format!("/search?q={}", id.jobs[0].id()),
    ];
    for path in hidden {
        assert_eq!(ask(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    // Without a hook visitors read.
    assert!(page(&dashboard.router(), "/").await.contains("billing"));
}

#[tokio::test]
async fn a_change_that_another_site_asks_for_is_refused() {
    let router = World::new("web-sites").router();
    let form = |name: &'static str, value: &'static str| {
        Request::post("/theme")
            .header(name, value)
            .header("host", "localhost:8377")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from("theme=dark"))
            .unwrap()
    };
    for (name, value, allowed) in [
        ("sec-fetch-site", "cross-site", false),
        ("sec-fetch-site", "same-site", false),
        ("origin", "https://evil.example", false),
        ("x-nothing", "", false),
        ("sec-fetch-site", "same-origin", true),
        ("origin", "http://localhost:8377", true),
    ] {
        let answer = send(&router, form(name, value)).await;
        let expected = if allowed { StatusCode::SEE_OTHER } else { StatusCode::FORBIDDEN };
        assert_eq!(answer.status, expected, "{name}: {value}");
    }
}
