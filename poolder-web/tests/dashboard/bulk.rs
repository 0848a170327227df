//! Changes of several jobs: chosen ones, and all that satisfy a filter.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use poolder::prelude::*;
use poolder_core::history::AuditFilter;
use poolder_web::{Access, Dashboard};

use crate::world::{Answer, World, eventually, fails, get, page, post, welcome};

async fn view(world: &World) -> poolder::QueueView {
    world.client.inspect("mail").overview().await.unwrap()
}

/// Lets jobs die.
async fn let_die(world: &World, users: std::ops::Range<u32>) {
    let count = u64::from(users.end - users.start);
    let policy = Policy::default().attempts(1);
    for user in users {
        world.client.enqueue(welcome(&format!("u{user}"))).policy(policy.clone()).await.unwrap();
    }
    let node = world.start(Pool::new("mail").size(4).worker(worker_fn(fails)));
    eventually("all are dead", || async { view(world).await.dead == count }).await;
    node.stop().await;
}

async fn schedule(world: &World, count: u32) {
    for user in 0..count {
        let job = world.client.enqueue(welcome(&format!("u{user}")));
        job.after(Duration::from_secs(3_600)).await.unwrap();
    }
}

/// Returns the values of the ticks of a list.
fn ticks(list: &str) -> Vec<String> {
    let parts = list.split("name=\"job\" form=\"bulk\" value=\"").skip(1);
    parts.map(|part| part.split('"').next().unwrap().to_owned()).collect()
}

fn chosen(jobs: &[String]) -> String {
    jobs.iter().map(|job| format!("&job={job}")).collect()
}

/// Returns the page of a task when the task has ended.
async fn ended(router: &Router, begun: &Answer) -> String {
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text);
    let path = begun.headers["location"].to_str().unwrap().to_owned();
    assert!(path.starts_with("/task/"), "{path}");
    eventually("the task ends", || async { !page(router, &path).await.contains("goes on") }).await;
    page(router, &path).await
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_were_chosen_are_changed_and_those_that_moved_on_are_named() {
    let world = World::new("web-chosen");
    let_die(&world, 0..4).await;
    let router = world.dashboard().actor(|_| "ann".into()).router();
    let list = page(&router, "/queues/mail?state=dead").await;
    assert!(list.contains("id=\"bulk\"") && list.contains("or all 4 jobs"), "{list}");
    let jobs = ticks(&list);
    let form =
        format!("action=revive&state=dead&queue=mail{}&back=%2Fqueues%2Fmail", chosen(&jobs[..2]));
    let done = post(&router, "/bulk", &form).await;
    assert_eq!(
        (done.status, &done.headers["location"]),
        (StatusCode::SEE_OTHER, &"/queues/mail".parse().unwrap())
    );
    assert!(done.headers["set-cookie"].to_str().unwrap().contains("Revived%202%20jobs."));
    assert_eq!((view(&world).await.dead, view(&world).await.ready()), (2, 2));
    // Two of these were revived a moment ago.
    let form = format!("action=revive&state=dead&queue=mail{}", chosen(&jobs[..3]));
    let some = post(&router, "/bulk", &form).await;
    let said = some.headers["set-cookie"].to_str().unwrap();
    assert!(said.contains("Revived%201%20job%2C%20and%20left%202%20jobs"), "{said}");
    assert_eq!(view(&world).await.dead, 1);
    // Deleting asks, and names each of them.
    let form = format!("action=delete&state=dead&queue=mail{}", chosen(&jobs[3..]));
    let asked = post(&router, "/bulk", &form).await;
    assert!(asked.text.contains("Delete 1 job that you chose of mail?"), "{}", asked.text);
    assert!(asked.text.contains("poolder job rm mail.0/"), "{}", asked.text);
    assert_eq!(view(&world).await.dead, 1);
    post(&router, "/bulk", &format!("{form}&go=1")).await;
    assert_eq!(view(&world).await.dead, 0);
    let audit = world.client.audit(&AuditFilter::default().actor("ann"), None, 20).await.unwrap();
    let actions: Vec<_> = audit.entries.iter().map(|entry| &*entry.record.action).collect();
    assert_eq!(actions, ["job.remove", "job.revive", "job.revive", "job.revive"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_match_are_changed_in_steps_after_a_question_with_their_number() {
    let world = World::new("web-matching");
    let_die(&world, 0..130).await;
    let router = world.dashboard().actor(|_| "ann".into()).router();
    let form = "action=delete&state=dead&queue=mail&all=1&where=payload.to%3Du7";
    let asked = post(&router, "/bulk", form).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text);
    for text in [
        "Delete 1 dead jobs".replace("jobs", "job").as_str(),
        "of mail that match payload.to=u7?",
        "The first 1 job",
        "poolder job rm --queue mail --all --state dead --where payload.to=u7",
        "name=\"count\" value=\"1\"",
        "Type <b>mail</b> to go on",
    ] {
        assert!(asked.text.contains(text), "{text} is missing: {}", asked.text);
    }
    let wrong = post(&router, "/bulk", &format!("{form}&go=1&count=1&typed=mial")).await;
    assert_eq!(wrong.status, StatusCode::CONFLICT);
    let stale = post(&router, "/bulk", &format!("{form}&go=1&count=0&typed=mail")).await;
    assert!(stale.text.contains("There were 0 jobs, and now there are 1."), "{}", stale.text);
    assert_eq!(view(&world).await.dead, 130);
    let begun = post(&router, "/bulk", &format!("{form}&go=1&count=1&typed=mail")).await;
    let text = ended(&router, &begun).await;
    assert!(text.contains("1 to change, 1 changed.") && text.contains("begun by ann"), "{text}");
    assert_eq!(view(&world).await.dead, 129);

    // Without a filter, in several steps; the audit has a beginning and an end.
    let form = "action=revive&state=dead&all=1&where=";
    let asked = post(&router, "/bulk", form).await;
    assert!(asked.text.contains("Revive 129 dead jobs of mail?"), "{}", asked.text);
    assert!(asked.text.contains("The first 10 jobs"), "{}", asked.text);
    let begun = post(&router, "/bulk", &format!("{form}&queue=mail&go=1&count=129")).await;
    let text = ended(&router, &begun).await;
    assert!(text.contains("129 to change, 129 changed."), "{text}");
    assert_eq!((view(&world).await.dead, view(&world).await.ready()), (0, 129));
    let audit = AuditFilter::default().action("jobs.revive").actor("ann");
    let audit = world.client.audit(&audit, None, 20).await.unwrap().entries;
    assert_eq!((audit.len(), audit[0].record.changed), (2, 129));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_many_jobs_is_stopped_between_two_steps() {
    let world = World::new("web-stopped");
    schedule(&world, 900).await;
    let router = world.router();
    let form = "action=cancel&state=scheduled&queue=mail&all=1&go=1&count=900&typed=mail";
    let begun = post(&router, "/bulk", form).await;
    let path = begun.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(post(&router, &format!("{path}/stop"), "").await.status, StatusCode::SEE_OTHER);
    let text = ended(&router, &begun).await;
    assert!(text.contains(">stopped<"), "{text}");
    let left = view(&world).await.due;
    assert!(left > 0, "all were cancelled");
    assert!(text.contains(&format!("{} changed.", 900 - left)), "{left} are left: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_rescheduled_and_patched_together() {
    let world = World::new("web-patch");
    let_die(&world, 0..30).await;
    schedule(&world, 5).await;
    let router = world.router();
    let form = "action=reschedule&state=scheduled&queue=mail&all=1";
    let asked = post(&router, "/bulk", form).await;
    assert!(asked.text.contains("name=\"in\"") && asked.text.contains("datetime-local"));
    for (time, status) in [
        ("", StatusCode::CONFLICT),
        ("&in=soon", StatusCode::CONFLICT),
        ("&at=2030-01-01", StatusCode::CONFLICT),
        ("&in=90s&at=2030-01-01T08:00", StatusCode::CONFLICT),
        ("&at=2030-01-01T08:00", StatusCode::SEE_OTHER),
    ] {
        let done = post(&router, "/bulk", &format!("{form}&go=1&count=5{time}")).await;
        assert_eq!(done.status, status, "{time}: {}", done.text);
        if status == StatusCode::SEE_OTHER {
            ended(&router, &done).await;
        }
    }
    let later = world.client.inspect("mail").due(None, 10).await.unwrap().jobs;
    assert!(later.iter().all(|job| job.at.millis() == 1_893_484_800_000) && later.len() == 5);

    let form = "action=edit&state=dead&queue=mail&all=1&go=1&count=30&typed=mail&patch=";
    for (patch, text) in [("%7B", "This is not JSON"), ("7", "A patch is an object")] {
        let asked = post(&router, "/bulk", &format!("{form}{patch}")).await;
        assert_eq!(asked.status, StatusCode::CONFLICT);
        assert!(asked.text.contains(text) && asked.text.contains("<textarea"), "{}", asked.text);
    }
    let done = post(&router, "/bulk", &format!("{form}%7B%22to%22%3A%22zoe%22%7D")).await;
    let text = ended(&router, &done).await;
    assert!(text.contains("30 to change, 30 changed."), "{text}");
    let revived = world.client.inspect("mail").ready(Lane::Normal, None, 50).await.unwrap().jobs;
    assert_eq!(revived.len(), 30);
    assert!(revived.iter().all(|job| job.payload_json().unwrap()["to"] == "zoe"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_and_forms_are_checked_before_any_job_is_changed() {
    let world = World::new("web-bulk-rights");
    schedule(&world, 2).await;
    let with = |access: Access| {
        let dashboard = Dashboard::new(world.client.clone());
        let router = dashboard.authorize(move |_, queue| match queue {
            Some("mail") => access,
            _ => Access::Admin,
        });
        router.router()
    };
    let list = page(&with(Access::Operate), "/queues/mail?state=scheduled").await;
    assert!(list.contains("id=\"bulk\"") && !list.contains("name=\"all\""), "{list}");
    assert!(!list.contains("value=\"delete\"") && list.contains("value=\"run-now\""), "{list}");
    let read = page(&with(Access::Read), "/queues/mail?state=scheduled").await;
    assert!(!read.contains("id=\"bulk\"") && ticks(&read).is_empty(), "{read}");
    let job = chosen(&ticks(&list)[..1]);
    let all = "action=cancel&state=scheduled&queue=mail&all=1&go=1&count=2&typed=mail";
    let many: String = chosen(&vec![ticks(&list)[0].clone(); 201]);
    for (access, form, status) in [
        (Access::Read, format!("action=run-now&state=scheduled{job}"), StatusCode::FORBIDDEN),
        (Access::None, format!("action=run-now&state=scheduled{job}"), StatusCode::NOT_FOUND),
        (Access::Operate, all.to_owned(), StatusCode::FORBIDDEN),
        (Access::None, all.to_owned(), StatusCode::NOT_FOUND),
        (
            Access::Operate,
            format!("action=delete&state=scheduled{job}&go=1"),
            StatusCode::FORBIDDEN,
        ),
        (Access::Admin, format!("action=revive&state=scheduled{job}"), StatusCode::BAD_REQUEST),
        (Access::Admin, format!("action=drain&state=scheduled{job}"), StatusCode::BAD_REQUEST),
        (Access::Admin, "action=cancel&state=scheduled".to_owned(), StatusCode::BAD_REQUEST),
        (Access::Admin, format!("action=cancel&state=odd{job}"), StatusCode::BAD_REQUEST),
        (Access::Admin, format!("{all}&where=nonsense"), StatusCode::BAD_REQUEST),
        (Access::Admin, format!("{all}&queue=not%20a%20name"), StatusCode::BAD_REQUEST),
        (Access::Admin, "action=cancel&state=scheduled&job=x".to_owned(), StatusCode::BAD_REQUEST),
        (Access::Admin, format!("action=cancel&state=scheduled{many}"), StatusCode::BAD_REQUEST),
    ] {
        let answer = post(&with(access), "/bulk", &form).await;
        assert_eq!(answer.status, status, "{access} {form}: {}", answer.text);
    }
    let read_only = world.dashboard().read_only().router();
    assert_eq!(post(&read_only, "/bulk", all).await.status, StatusCode::FORBIDDEN);
    assert_eq!(view(&world).await.due, 2);
    assert_eq!(get(&read_only, "/task/nonsense").await.status, StatusCode::NOT_FOUND);
    // A task is shown to those who see its queues, and stopped by those who may begin it.
    let all_rights = Dashboard::new(world.client.clone()).authorize(|request, _| {
        match request.headers.get("x-none").is_some() {
            true => Access::Read,
            false => Access::Admin,
        }
    });
    let router = all_rights.router();
    let begun = post(&router, "/bulk", all).await;
    ended(&router, &begun).await;
    assert_eq!(view(&world).await.due, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_edited_in_a_form_and_runs_again() {
    let world = World::new("web-edit");
    let_die(&world, 0..1).await;
    let router = world.router();
    let list = page(&router, "/queues/mail?state=dead").await;
    let job = ticks(&list).remove(0);
    let asked = page(&router, &format!("/confirm?action=edit&job={job}")).await;
    assert!(
        asked.contains("&quot;to&quot;: &quot;u0&quot;") && asked.contains("<textarea"),
        "{asked}"
    );
    let form = |text: &str| format!("action=edit&job={job}&{text}");
    let wrong = post(&router, "/act", &form("payload=%7B%22to%22%3A")).await;
    assert!(wrong.status == StatusCode::CONFLICT && wrong.text.contains("This is not JSON"));
    assert!(wrong.text.contains("{&quot;to&quot;:"), "what was typed stays: {}", wrong.text);
    let large = format!("payload=%22{}%22", "x".repeat(1 << 20));
    assert_eq!(post(&router, "/act", &form(&large)).await.status, StatusCode::CONFLICT);
    assert_eq!(view(&world).await.dead, 1);
    let done = post(&router, "/act", &form("payload=%7B%22to%22%3A%22zoe%22%7D")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let ready = world.client.inspect("mail").ready(Lane::Normal, None, 5).await.unwrap().jobs;
    assert_eq!(ready[0].payload_json().unwrap()["to"], "zoe");
    // One that waits is edited where it waits, and is due at once.
    let job = ready[0].handle.to_string();
    let form = format!("action=edit&job={job}&payload=%7B%22to%22%3A%22yan%22%7D");
    assert_eq!(post(&router, "/act", &form).await.status, StatusCode::SEE_OTHER);
    let due = async || {
        let now = view(&world).await;
        assert_eq!((now.ready(), now.due, now.dead), (0, 1, 0));
        let job = world.client.inspect("mail").due(None, 5).await.unwrap().jobs.remove(0);
        assert!(job.at <= now.now, "it is due");
        job
    };
    let edited = due().await;
    assert_eq!(edited.payload_json().unwrap()["to"], "yan");
    // Where a part is hidden, a patch leaves it as it is.
    let hides = world.dashboard().redact(|_, payload| payload["to"] = "(hidden)".into()).router();
    let job = edited.handle.to_string();
    let asked = page(&hides, &format!("/confirm?action=edit&job={job}")).await;
    assert!(asked.contains("name=\"patch\"") && !asked.contains("yan"), "{asked}");
    let whole = format!("action=edit&job={job}&payload=%7B%7D&patch=%7B%22cc%22%3A1%7D");
    assert_eq!(post(&hides, "/act", &whole).await.status, StatusCode::SEE_OTHER);
    let payload = due().await.payload_json().unwrap();
    assert_eq!((&payload["to"], &payload["cc"]), (&"yan".into(), &1.into()));
}

#[tokio::test]
async fn a_job_is_rescheduled() {
    let world = World::new("web-reschedule");
    schedule(&world, 1).await;
    let router = world.router();
    let list = page(&router, "/queues/mail?state=scheduled").await;
    let job = ticks(&list).remove(0);
    let asked = page(&router, &format!("/confirm?action=reschedule&job={job}")).await;
    assert!(asked.contains("poolder job reschedule mail.0/"), "{asked}");
    let empty = post(&router, "/act", &format!("action=reschedule&job={job}")).await;
    assert!(empty.status == StatusCode::CONFLICT && empty.text.contains("Say when it shall run."));
    let form = format!("action=reschedule&job={job}&in=2d");
    assert_eq!(post(&router, "/act", &form).await.status, StatusCode::SEE_OTHER);
    let due = world.client.inspect("mail").due(None, 5).await.unwrap().jobs;
    let later = due[0].at.since(view(&world).await.now);
    assert!(later > Duration::from_secs(2 * 86_400 - 600), "{later:?}");
}
