//! Changes of all queues, and of several schedules.

use axum::http::StatusCode;
use poolder::Status;
use poolder_core::history::AuditFilter;
use poolder_web::{Access, Dashboard};

use crate::world::{World, get, page, post, welcome};

async fn queues(world: &World, names: &[&str]) {
    for name in names {
        world.client.enqueue(welcome("ana")).queue(name).await.unwrap();
    }
}

async fn paused(world: &World) -> Vec<String> {
    let views = world.client.overview().await.unwrap();
    let paused = views.into_iter().filter(|view| view.paused.is_some());
    paused.map(|view| view.queue.to_string()).collect()
}

async fn audited(world: &World, action: &str) -> usize {
    let filter = AuditFilter::default().action(action);
    world.client.audit(&filter, None, 50).await.unwrap().entries.len()
}

#[tokio::test]
async fn all_queues_are_paused_and_resumed_after_their_number_was_typed() {
    let world = World::new("web-pause-all");
    queues(&world, &["a", "b", "mail"]).await;
    world.client.pause("b").await.unwrap();
    let router = world.router();
    let shown = page(&router, "/").await;
    assert!(shown.contains("action=pause-all") && shown.contains("action=resume-all"), "{shown}");
    let asked = page(&router, "/confirm?action=pause-all&back=/").await;
    assert!(asked.contains("Pause 2 queues?"), "{asked}");
    assert!(asked.contains("poolder queue pause --all"), "{asked}");
    let form = |typed: &str, count: u64| {
        let form = format!("action=pause-all&typed={typed}&count={count}&back=%2F");
        let router = router.clone();
        async move { post(&router, "/act", &form).await }
    };
    let wrong = form("yes", 2).await;
    assert!(wrong.text.contains("Type 2 queues to go on."), "{}", wrong.text);
    queues(&world, &["new"]).await;
    let stale = form("2 queues", 2).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(stale.text.contains("There were 2 queues, and now there are 3."), "{}", stale.text);
    assert_eq!(paused(&world).await, ["b"]);
    let done = form("3 queues", 3).await;
    let said = done.headers["set-cookie"].to_str().unwrap();
    assert!(said.contains("Paused%203%20queues."), "{said}");
    assert_eq!(paused(&world).await, ["a", "b", "mail", "new"]);
    assert_eq!(audited(&world, "queue.pause").await, 4);
    let nothing = get(&router, "/confirm?action=pause-all").await;
    assert!(nothing.text.contains("is paused already"), "{}", nothing.text);
    post(&router, "/act", "action=resume-all&typed=4 queues&count=4").await;
    assert_eq!(paused(&world).await, [""; 0]);
}

#[tokio::test]
async fn a_visitor_pauses_only_the_queues_of_which_this_is_allowed() {
    let world = World::new("web-pause-some");
    queues(&world, &["a", "b", "payroll"]).await;
    let dashboard = Dashboard::new(world.client.clone());
    let router = dashboard.authorize(|_, queue| match queue {
        Some("payroll") => Access::None,
        Some("b") => Access::Operate,
        _ => Access::Admin,
    });
    let router = router.router();
    let asked = page(&router, "/confirm?action=pause-all").await;
    assert!(asked.contains("Pause 1 queue?") && !asked.contains("payroll"), "{asked}");
    assert!(asked.contains("<code>poolder queue pause a</code>"), "{asked}");
    post(&router, "/act", "action=pause-all&typed=1 queue&count=1").await;
    assert_eq!(paused(&world).await, ["a"]);
    let operator = Dashboard::new(world.client.clone()).authorize(|_, _| Access::Operate).router();
    assert_eq!(get(&operator, "/confirm?action=pause-all").await.status, StatusCode::FORBIDDEN);
    assert!(!page(&operator, "/").await.contains("pause-all"));
}

#[tokio::test]
async fn several_schedules_are_paused_by_choice_and_all_that_match_after_a_question() {
    let world = World::new("web-schedules");
    queues(&world, &["mail", "video"]).await;
    for (queue, name) in [("mail", "digest"), ("mail", "report-a"), ("video", "report-b")] {
        let schedule = world.client.schedule(name, "@every 15m", welcome("all"));
        schedule.queue(queue).await.unwrap();
    }
    let router = world.router();
    let status = async || {
        let all = world.client.find_schedules("").await.unwrap();
        let each = all.iter().map(|info| (info.name.clone(), info.status == Status::Paused));
        each.filter(|(_, paused)| *paused).map(|(name, _)| name).collect::<Vec<_>>()
    };
    let list = page(&router, "/schedules?match=report").await;
    assert!(list.contains("value=\"mail/report-a\"") && !list.contains("digest<"), "{list}");
    assert!(list.contains("or all that match, 2 schedules"), "{list}");
    let change = |form: &str| {
        let (router, form) = (router.clone(), form.to_owned());
        async move { post(&router, "/schedules/change", &form).await }
    };
    let chosen = "schedule=mail/digest&schedule=video/report-b&schedule=mail/none";
    let some = change(&format!("action=schedule-pause&{chosen}")).await;
    let said = some.headers["set-cookie"].to_str().unwrap().replace("%20", " ");
    assert!(said.contains("Paused 2 schedules%2C and left one%3A none of mail"), "{said}");
    assert!(said.contains("poolder schedule pause digest none --queue mail"), "{said}");
    assert_eq!(status().await, ["digest", "report-b"]);
    // Of those that match, one is not paused yet.
    let all = "action=schedule-pause&match=report&all=1";
    let asked = change(all).await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(asked.text.contains("Pause 1 schedule of those that match"), "{}", asked.text);
    assert!(asked.text.contains("poolder schedule pause --all --match report"), "{}", asked.text);
    let wrong = change(&format!("{all}&go=1&count=1&typed=all")).await;
    assert!(wrong.text.contains("Type 1 schedule to go on."), "{}", wrong.text);
    world.client.resume_schedules([("video", "report-b")]).await.remove(0).unwrap();
    let stale = change(&format!("{all}&go=1&count=1&typed=1 schedule")).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(stale.text.contains("There were 1 schedule, and now there are 2."), "{}", stale.text);
    assert_eq!(status().await, ["digest"]);
    let done = change(&format!("{all}&go=1&count=2&typed=2 schedules")).await;
    assert_eq!(done.headers["location"], "/schedules?match=report");
    assert_eq!(status().await, ["digest", "report-a", "report-b"]);
    assert_eq!(audited(&world, "schedule.pause").await, 4);
    change("action=schedule-resume&all=1&go=1&count=3&typed=3 schedules").await;
    assert_eq!(status().await, [""; 0]);
    for (form, says) in [
        ("action=schedule-remove&all=1", "can be paused or resumed"),
        ("action=schedule-pause", "No schedule is chosen"),
        ("action=schedule-pause&schedule=mail", "name"),
        ("action=schedule-resume&all=1", "is left to change"),
    ] {
        let refused = change(form).await;
        assert!(refused.status.is_client_error() && refused.text.contains(says), "{form}");
    }
    let reader = Dashboard::new(world.client.clone()).authorize(|_, _| Access::Read).router();
    let form = "action=schedule-pause&schedule=mail/digest";
    assert_eq!(post(&reader, "/schedules/change", form).await.status, StatusCode::FORBIDDEN);
    assert!(!page(&reader, "/schedules").await.contains("id=\"bulk\""));
    let operator = Dashboard::new(world.client.clone()).authorize(|_, _| Access::Operate).router();
    let all = post(&operator, "/schedules/change", "action=schedule-pause&all=1").await;
    assert_eq!(all.status, StatusCode::FORBIDDEN);
}
