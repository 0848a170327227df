//! The pages of schedules, batches, pools and unique keys, with their changes.

use axum::http::StatusCode;
use poolder::prelude::*;
use poolder::{BatchOptions, JobState, QueueLimits};
use poolder_core::policy::dispatch::Mode as PoolMode;
use poolder_web::{Access, Dashboard};

use crate::world::{Welcome, World, eventually, get, page, post, welcome};

#[tokio::test]
async fn schedules_are_added_with_a_preview_and_changed() {
    let world = World::new("web-schedule-form");
    world.client.enqueue(welcome("ana")).await.unwrap();
    let router = world.router();
    assert!(page(&router, "/schedules").await.contains("/schedules/form"));
    let form = "schedule=digest&queue=mail&kind=mail.welcome&payload=%7B%22to%22%3A%22all%22%7D";
    let send = |fields: &str| {
        let (router, fields) = (router.clone(), format!("{form}&{fields}"));
        async move { post(&router, "/schedules/save", &fields).await }
    };
    for (fields, says) in [
        ("timing=often", "often"),
        ("timing=90s&zone=Atlantis", "Atlantis"),
        ("timing=90s&missed=some", "is not skip, one"),
        ("timing=90s&start=soon", "is no moment"),
        ("timing=90s&payload=%7B", "This is not JSON"),
    ] {
        let again = send(&format!("{fields}&action=save")).await;
        assert_eq!(again.status, StatusCode::CONFLICT, "{fields}: {}", again.text);
        assert!(
            again.text.contains(says) && again.text.contains("role=\"alert\""),
            "{}",
            again.text
        );
    }
    let preview = send("timing=30 7 * * *&zone=Europe/Berlin&action=preview").await;
    assert_eq!(preview.status, StatusCode::OK, "{}", preview.text);
    assert!(preview.text.contains("Its next ticks"), "{}", preview.text);
    assert!(preview.text.matches("07:30").count() >= 10, "{}", preview.text);
    let schedules = world.client.schedules("mail");
    assert!(schedules.get("digest").await.unwrap().is_none(), "a preview stores nothing");
    let saved = send("timing=30 7 * * *&zone=Europe/Berlin&action=save").await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let again = send("timing=90s&action=save").await;
    assert!(again.text.contains("has a schedule digest already"), "{}", again.text);

    let form = page(&router, "/schedules/form?queue=mail&schedule=digest").await;
    assert!(form.contains("value=\"30 7 * * *\"") && form.contains("Europe/Berlin"), "{form}");
    let change = "was=digest&schedule=digest&queue=mail&kind=mail.welcome&timing=90s&action=save";
    assert_eq!(post(&router, "/schedules/save", change).await.status, StatusCode::SEE_OTHER);
    let stored = schedules.get("digest").await.unwrap().unwrap().schedule;
    assert_eq!(stored.timing.to_string(), "90s");
    assert_eq!(stored.job.raw_job().payload, br#"{"to":"all"}"#, "the job stays");

    let act = |action: &str| format!("action={action}&queue=mail&schedule=digest");
    let status = async || schedules.get("digest").await.unwrap().unwrap().status;
    post(&router, "/act", &act("schedule-pause")).await;
    assert_eq!(status().await, poolder::Status::Paused);
    post(&router, "/act", &act("schedule-resume")).await;
    assert_eq!(status().await, poolder::Status::Active);
    let ready = async || world.client.inspect("mail").overview().await.unwrap().ready();
    assert_eq!(post(&router, "/act", &act("schedule-run")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(ready().await, 2);
    let operates = Dashboard::new(world.client.clone()).authorize(|_, _| Access::Operate).router();
    assert_eq!(post(&operates, "/schedules/save", change).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        post(&operates, "/act", &act("schedule-remove")).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(get(&operates, "/schedules/form").await.status, StatusCode::FORBIDDEN);
    let asked = page(&router, &format!("/confirm?{}", act("schedule-remove"))).await;
    assert!(asked.contains("poolder schedule remove digest --queue mail"), "{asked}");
    assert_eq!(post(&router, "/act", &act("schedule-remove")).await.status, StatusCode::SEE_OTHER);
    assert!(schedules.get("digest").await.unwrap().is_none());
    let gone = post(&router, "/act", &act("schedule-run")).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn lists_of_a_batcher_are_flushed_and_entries_taken_out() {
    let world = World::new("web-batches");
    let rows = world.client.batcher::<String>("rows");
    rows.declare(BatchOptions::default().limit(10).timeout(None)).await.unwrap();
    let eu = rows.group("eu");
    for entry in ["<b>one</b>", "two", "three"] {
        eu.push(entry.to_owned()).await.unwrap();
    }
    let router = world.router();
    let list = page(&router, "/batches").await;
    assert!(list.contains("href=\"/batches/rows/rows\""), "{list}");
    let text = page(&router, "/batches/rows/rows?group=eu").await;
    assert!(text.contains("Entries of group eu") && text.contains("&lt;b&gt;one"), "{text}");
    assert!(!text.contains("<b>one"), "{text}");
    let generation = text.split("generation=").nth(1).unwrap().split(['&', '"']).next().unwrap();
    let pop = |index: u64, entry: &str| {
        format!(
            "action=batch-pop&queue=rows&batcher=rows&group=eu&index={index}&generation={generation}&entry=%22{entry}%22"
        )
    };
    let asked = page(&router, &format!("/confirm?{}", pop(1, "two"))).await;
    assert!(asked.contains("Take entry 1 out of rows, group eu?"), "{asked}");
    let moved = post(&router, "/act", &pop(0, "two")).await;
    assert_eq!(
        (moved.status, eu.len().await.unwrap()),
        (StatusCode::CONFLICT, 3),
        "{}",
        moved.text
    );
    assert_eq!(post(&router, "/act", &pop(1, "two")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(eu.list(0).await.unwrap().entries, ["<b>one</b>", "three"]);
    let flush = "action=batch-flush&queue=rows&batcher=rows&group=eu&back=/batches/rows/rows";
    assert_eq!(post(&router, "/act", flush).await.status, StatusCode::SEE_OTHER);
    assert_eq!(eu.len().await.unwrap(), 0);
    let sealed = page(&router, "/batches/rows/rows").await;
    for part in ["href=\"/job/rows.0/", "1 batch sealed so far", "were flushed by hand or by code"]
    {
        assert!(sealed.contains(part), "{part} is missing: {sealed}");
    }
    let hides = world.dashboard().hide_payloads().router();
    eu.push("secret".into()).await.unwrap();
    let hidden = page(&hides, "/batches/rows/rows?group=eu").await;
    assert!(!hidden.contains("secret") && hidden.contains("Entries are not shown"), "{hidden}");
    assert_eq!(get(&router, "/batches/rows/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&router, "/batches/none/rows").await.status, StatusCode::NOT_FOUND);
    let other = get(&router, "/batches?name=rows%2Fother").await;
    assert_eq!(other.headers["location"], "/batches/rows/other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_has_its_slots_its_size_and_the_holder_of_a_key() {
    let world = World::new("web-pools");
    let (go, gone) = tokio::sync::watch::channel(false);
    let worker = worker_fn(move |_: Welcome, _: Context| {
        let mut gone = gone.clone();
        async move {
            let _ = gone.wait_for(|gone| *gone).await;
            Ok::<_, String>(())
        }
    });
    let node = world.start(Pool::new("mail").mode(PoolMode::Phash).size(3).worker(worker));
    let pool = world.client.pool::<Welcome>("mail");
    eventually("the pool is registered", || async { pool.view().await.is_ok() }).await;
    pool.cast(welcome("ana")).key("customer-7").await.unwrap();
    eventually("the job runs", || async {
        pool.slots().await.unwrap().iter().any(|slot| slot.running.is_some())
    })
    .await;
    let router = world.router();
    assert!(page(&router, "/pools").await.contains("href=\"/pools/mail\""));
    let text = page(&router, "/pools/mail").await;
    assert!(text.contains("phash") && text.contains("mail.welcome"), "{text}");
    let held = page(&router, "/pools/mail?key=customer-7").await;
    assert!(held.contains("Holder of the key") && held.contains("of this key, runs"), "{held}");
    let act = |fields: &str| {
        let (router, form) = (router.clone(), format!("queue=mail&{fields}"));
        async move { post(&router, "/act", &form).await }
    };
    assert_eq!(act("action=pool-stop&slot=2").await.status, StatusCode::SEE_OTHER);
    assert!(pool.slots().await.unwrap()[2].stopped);
    assert!(page(&router, "/pools/mail").await.contains("stopped"));
    assert_eq!(act("action=pool-start&slot=2").await.status, StatusCode::SEE_OTHER);
    assert!(!pool.slots().await.unwrap()[2].stopped);
    assert_eq!(act("action=pool-stop").await.status, StatusCode::SEE_OTHER);
    assert!(pool.view().await.unwrap().stopped);
    act("action=pool-start").await;
    let asked = page(&router, "/confirm?action=resize&queue=mail").await;
    assert!(asked.contains("name=\"size\" type=\"number\" value=\"3\""), "{asked}");
    for (size, status) in
        [("0", StatusCode::CONFLICT), ("many", StatusCode::CONFLICT), ("5", StatusCode::SEE_OTHER)]
    {
        let done = act(&format!("action=resize&size={size}")).await;
        assert_eq!(done.status, status, "{size}: {}", done.text);
    }
    assert_eq!(pool.view().await.unwrap().size, 5);
    let operates = Dashboard::new(world.client.clone()).authorize(|_, _| Access::Operate).router();
    let refused = post(&operates, "/act", "action=pool-stop&queue=mail").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(get(&router, "/pools/other").await.status, StatusCode::NOT_FOUND);
    go.send(true).unwrap();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_behind_another_says_so_in_words() {
    let world = World::new("web-behind");
    let (go, gone) = tokio::sync::watch::channel(false);
    let worker = worker_fn(move |_: Welcome, _: Context| {
        let mut gone = gone.clone();
        async move {
            let _ = gone.wait_for(|gone| *gone).await;
            Ok::<_, String>(())
        }
    });
    let node = world.start(Pool::new("mail").size(1).worker(worker));
    let send = || world.client.enqueue(welcome("ana")).unique(poolder::Unique::keep_last());
    let first = send().await.unwrap();
    eventually("the first one runs", || async {
        world.client.job(&first).state().await.unwrap() == Some(JobState::Running)
    })
    .await;
    let behind = send().await.unwrap();
    let router = world.router();
    for (path, says) in [
        ("/queues/mail?state=scheduled".to_owned(), "behind another job"),
        (format!("/job/{}", behind.handle()), "behind the job that holds its unique key"),
    ] {
        let text = page(&router, &path).await;
        assert!(text.contains(says) && !text.contains("10889"), "{path}: {text}");
    }
    go.send(true).unwrap();
    node.stop().await;
}

#[tokio::test]
async fn keys_of_unique_jobs_are_shown_found_and_released() {
    let world = World::new("web-keys");
    let rule = || poolder::Unique::until_done();
    for to in ["ana", "bob"] {
        world.client.enqueue(welcome(to)).unique(rule()).await.unwrap();
    }
    let router = world.router();
    let text = page(&router, "/queues/mail/keys").await;
    assert!(text.contains("2 keys") && text.contains("until it is done"), "{text}");
    let (keys, _) = world.client.inspect("mail").unique_keys(None, 10).await.unwrap();
    let key = keys[0].key;
    let one = page(&router, &format!("/queues/mail/keys?key={key}")).await;
    assert!(one.contains("1 key") && one.contains(&key.to_string()), "{one}");
    assert_eq!(get(&router, "/queues/mail/keys?key=odd").await.status, StatusCode::BAD_REQUEST);
    let form = format!("action=key-release&queue=mail&key={key}");
    let asked = page(&router, &format!("/confirm?{form}")).await;
    assert!(asked.contains("another one of the key may run beside it"), "{asked}");
    let operates = Dashboard::new(world.client.clone()).authorize(|_, _| Access::Operate).router();
    assert_eq!(post(&operates, "/act", &form).await.status, StatusCode::FORBIDDEN);
    assert_eq!(post(&router, "/act", &form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(world.client.inspect("mail").unique_keys(None, 10).await.unwrap().0.len(), 1);
    let again = post(&router, "/act", &form).await;
    let said = again.headers["set-cookie"].to_str().unwrap();
    assert!(said.contains("was%20free%20already"), "{said}");
}

#[tokio::test]
async fn groups_are_shown_found_paused_and_purged() {
    let world = World::new("web-groups");
    let router = world.router();
    world.client.enqueue(welcome("zoe")).await.unwrap();
    let text = page(&router, "/queues/mail/groups").await;
    assert!(text.contains("the queue has no limits"), "{text}");
    assert!(page(&router, "/queues/mail").await.contains("/queues/mail/groups"));
    let limits = world.client.limits("mail");
    limits.set(QueueLimits::new().concurrency(9).group_concurrency(2)).await.unwrap();
    let partition = poolder::Partition::first(poolder::QueueName::new("mail").unwrap());
    world.client.broker().sort(&partition, &mut Default::default()).await.unwrap();
    for (group, jobs) in [("acme", 3), ("<b>co</b>", 1)] {
        for _ in 0..jobs {
            world.client.enqueue(welcome("ana")).group(group).await.unwrap();
        }
    }
    let text = page(&router, "/queues/mail/groups").await;
    assert!(text.contains("9 jobs of the queue at a time, 2 jobs of a group at a time"), "{text}");
    assert!(text.contains("starts jobs") && text.contains("without a group"), "{text}");
    assert!(!text.contains("<b>co</b>") && text.contains("&lt;b&gt;co&lt;/b&gt;"), "{text}");
    let one = page(&router, "/queues/mail/groups?group=acme").await;
    assert!(one.contains(">acme<") && !one.contains("without a group"), "{one}");
    let too_long = format!("/queues/mail/groups?group={}", "x".repeat(129));
    assert_eq!(get(&router, &too_long).await.status, StatusCode::BAD_REQUEST);

    let form = |action: &str| format!("action={action}&queue=mail&group=acme");
    let operates = Dashboard::new(world.client.clone()).authorize(|_, _| Access::Operate).router();
    assert_eq!(post(&operates, "/act", &form("group-pause")).await.status, StatusCode::SEE_OTHER);
    let group = async || limits.group("acme").await.unwrap().unwrap();
    assert!(group().await.paused.is_some());
    let text = page(&operates, "/queues/mail/groups").await;
    assert!(text.contains("group-resume") && !text.contains("group-purge"), "{text}");
    let purge = form("group-purge");
    assert_eq!(post(&operates, "/act", &purge).await.status, StatusCode::FORBIDDEN);
    let asked = page(&router, &format!("/confirm?{purge}")).await;
    assert!(asked.contains("Delete 3 jobs of group acme of mail that wait?"), "{asked}");
    assert!(asked.contains("poolder group purge mail acme"), "{asked}");
    // Without the name, and with more jobs than the question has named, it is asked again.
    for fields in ["count=3", "count=3&typed=mail", "count=2&typed=acme"] {
        let again = post(&router, "/act", &format!("{purge}&{fields}")).await;
        assert_eq!(again.status, StatusCode::CONFLICT, "{fields}: {}", again.text);
    }
    assert_eq!(group().await.waiting, 3);
    let done = post(&router, "/act", &format!("{purge}&count=3&typed=acme")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert_eq!(group().await.waiting, 0);
    assert_eq!(post(&router, "/act", &form("group-resume")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(limits.group("acme").await.unwrap(), None);
}
