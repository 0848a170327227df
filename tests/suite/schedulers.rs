//! Schedulers: recurring jobs that change their own schedules. Checks what a deploy declares, and
//! which changes at run time survive the next deploy.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{BoxError, Client, Result, Schedules, Status, Timing};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, eventually, start, teller, within};

/// A scheduler that sends every callback it gets, and whose handlers return the outcomes set in
/// `thens`.
#[derive(Clone)]
struct MyJobs {
    told: mpsc::Sender<String>,
    thens: Arc<Mutex<Vec<(String, Then)>>>,
}

fn my_jobs() -> (MyJobs, mpsc::Receiver<String>) {
    let (told, heard) = mpsc::channel(10_000);
    (MyJobs { told, thens: Arc::default() }, heard)
}

#[poolder::scheduler(
    name = "myjobs",
    jobs(
        prune = "*/1 * * * * *",
        five_seconds = 5000,
        failing = "1h",
        hangs = "@daily",
        other = "2h",
        spare
    ),
    zone = "Europe/Berlin",
    policy(attempts = 3, backoff = "10ms")
)]
impl MyJobs {
    async fn handle_init(&mut self) -> Result<()> {
        self.say("init").await;
        Ok(())
    }

    async fn prune(&mut self, cx: Context) -> Result<Then> {
        let tick = cx.tick().ok_or("prune has a tick")?;
        assert_eq!(tick.schedule(), "myjobs.prune");
        self.say("prune").await;
        Ok(self.then("prune"))
    }

    async fn five_seconds(&self) -> Then {
        self.say("five_seconds").await;
        self.then("five_seconds")
    }

    async fn failing(&mut self, cx: Context) -> Result<()> {
        self.say(&format!("failing {}", cx.attempt())).await;
        Err("as planned".into())
    }

    async fn hangs(&mut self, cx: Context) {
        self.say("hangs").await;
        cx.cancelled().await;
    }

    async fn spare() {}

    async fn handle_job(&mut self, job: &str, cx: Context) -> Result<()> {
        self.say(&format!("handle_job {job} {}", cx.tick().is_some())).await;
        Ok(())
    }

    async fn handle_error(&mut self, job: &str, cx: Context, error: &BoxError) -> Verdict {
        self.say(&format!("handle_error {job} {} {error}", cx.attempt())).await;
        if cx.attempt() == 2 { Verdict::Halt } else { Verdict::RetryNow }
    }

    async fn say(&self, what: &str) {
        self.told.send(what.to_owned()).await.unwrap();
    }

    fn then(&self, job: &str) -> Then {
        let mut thens = self.thens.lock().unwrap();
        let at = thens.iter().position(|(name, _)| name == job);
        at.map_or(Then::Continue, |at| thens.remove(at).1)
    }
}

impl MyJobs {
    fn answer(&self, job: &str, then: Then) {
        self.thens.lock().unwrap().push((job.to_owned(), then));
    }
}

async fn until_told(heard: &mut mpsc::Receiver<String>, what: &str) {
    while within(heard.recv()).await.unwrap() != what {}
}

async fn timing(schedules: &Schedules, name: &str) -> String {
    schedules.get(name).await.unwrap().unwrap().schedule.timing.to_string()
}

async fn until_status(schedules: &Schedules, name: &str, status: Status) {
    eventually(&format!("{name} is {status}"), || async {
        schedules.get(name).await.unwrap().unwrap().status == status
    })
    .await;
}

#[tokio::test]
async fn jobs_run_by_their_method_or_by_handle_job_and_fail_as_handle_error_says() {
    let space = Space::new("methods");
    let (jobs, mut heard) = my_jobs();
    // The hanging job is abandoned: the shutdown does not wait for it.
    let node = start(space.node().add(jobs).shutdown_timeout(Duration::from_millis(100)));
    until_told(&mut heard, "prune").await;
    let schedules = MyJobs::on(&space.client);
    let names: Vec<String> =
        schedules.list().await.unwrap().into_iter().map(|info| info.name).collect();
    let expected = ["failing", "five_seconds", "hangs", "other", "prune"];
    assert_eq!(names, expected.map(|name| format!("myjobs.{name}")));
    let prune = schedules.get("myjobs.prune").await.unwrap().unwrap();
    assert_eq!(prune.schedule.zone.to_string(), "Europe/Berlin");
    assert_eq!((prune.schedule.overlap, prune.owner.as_deref()), (Overlap::Skip, Some("myjobs")));
    let policy = prune.schedule.job.policy();
    assert_eq!((policy.attempts, policy.backoff), (3, Backoff::Fixed(Duration::from_millis(10))));

    schedules.run_now("myjobs.other").await.unwrap();
    until_told(&mut heard, "handle_job other true").await;
    schedules.run_now("myjobs.failing").await.unwrap();
    for said in [
        "failing 1",
        "handle_error failing 1 as planned",
        "failing 2",
        "handle_error failing 2 as planned",
    ] {
        until_told(&mut heard, said).await;
    }
    space.until_count("myjobs", "buried", 1).await;

    // A hanging job holds up no other.
    schedules.run_now("myjobs.hangs").await.unwrap();
    until_told(&mut heard, "hangs").await;
    for _ in 0..2 {
        until_told(&mut heard, "prune").await;
    }
    // Any client may enqueue such a job, too.
    let mut add = redis::cmd("XADD");
    add.arg(space.key("myjobs", "ready:normal")).arg("*");
    add.arg("kind").arg("myjobs").arg("payload").arg(r#"{"job":"whatever"}"#);
    space.redis::<String>(&mut add).await;
    until_told(&mut heard, "handle_job whatever false").await;
    node.stop().await;
}

#[tokio::test]
async fn what_a_job_returns_changes_schedules() {
    let space = Space::new("thens");
    let (jobs, mut heard) = my_jobs();
    let schedules = space.client.schedules("myjobs");
    let told = |job: &'static str, then: Then| {
        jobs.answer(job, then);
        let schedules = schedules.clone();
        async move { schedules.run_now(&format!("myjobs.{job}")).await.unwrap() }
    };
    // An earlier deploy has left a schedule behind.
    let mut old = jobs.clone().scheduler().job("old", "6h").declarations().unwrap();
    old.retain(|declaration| declaration.name == "myjobs.old");
    space.client.declare_schedules("myjobs", "0", &old).await.unwrap();
    let node = start(space.node().add(jobs.clone()));
    until_told(&mut heard, "prune").await;
    until_status(&schedules, "myjobs.old", Status::Undeclared).await;

    for to in ["2h", "30 4 * * Mon"] {
        told("five_seconds", Then::set(to).unwrap()).await;
        eventually("five_seconds is set", || async {
            timing(&schedules, "myjobs.five_seconds").await == to
        })
        .await;
    }

    // An impossible change fails the attempt, and changes nothing.
    let before = schedules.list().await.unwrap().len();
    for (then, why) in [
        (Then::create("x y", "1h"), "\"myjobs.x y\" is not allowed"),
        (Then::create("x".repeat(128), "1h"), "use 1 to 128"),
        (Then::set("0 0 0 1 1 * 2020"), "never ticks"),
        (Then::replace([("x y", "1h")]), "\"myjobs.x y\" is not allowed"),
    ] {
        told("five_seconds", then.unwrap()).await;
        loop {
            let said = within(heard.recv()).await.unwrap();
            if said.starts_with("handle_error") {
                assert!(said.contains(why), "{why}: {said}");
                break;
            }
        }
    }
    let all = schedules.list().await.unwrap();
    assert_eq!(
        (all.len(), timing(&schedules, "myjobs.five_seconds").await),
        (before, "30 4 * * Mon".into())
    );
    assert!(all.iter().all(|info| info.status != Status::Stopped));

    // A job may give a schedule to a name that the code no longer declares, or never did.
    told("five_seconds", Then::create("old", "* * * * * *").unwrap()).await;
    until_told(&mut heard, "handle_job old true").await;
    assert!(!schedules.get("myjobs.old").await.unwrap().unwrap().is_declared());

    told("five_seconds", Then::create("fresh", "* * * * * *").unwrap()).await;
    until_told(&mut heard, "handle_job fresh true").await;
    let fresh = schedules.get("myjobs.fresh").await.unwrap().unwrap();
    assert!(!fresh.is_declared() && fresh.owner.as_deref() == Some("myjobs"));
    assert_eq!(fresh.schedule.zone.to_string(), "Europe/Berlin", "the defaults are the same");

    // The set is replaced: schedules made at run time are removed, declared ones are stopped.
    let set = [("prune", "* * * * * *"), ("spare", "3h")];
    told("five_seconds", Then::replace(set).unwrap()).await;
    until_status(&schedules, "myjobs.other", Status::Stopped).await;
    until_status(&schedules, "myjobs.five_seconds", Status::Stopped).await;
    eventually("fresh is gone", || async {
        schedules.get("myjobs.fresh").await.unwrap().is_none()
    })
    .await;
    assert_eq!(timing(&schedules, "myjobs.spare").await, "3h");
    let prune = schedules.get("myjobs.prune").await.unwrap().unwrap();
    assert_eq!(prune.status, Status::Active);

    // Giving a stopped job a schedule starts it again.
    told("five_seconds", Then::create("five_seconds", "4h").unwrap()).await;
    until_status(&schedules, "myjobs.five_seconds", Status::Active).await;
    assert_eq!(timing(&schedules, "myjobs.five_seconds").await, "4h");

    told("prune", Then::Stop).await;
    until_status(&schedules, "myjobs.prune", Status::Stopped).await;
    schedules.pause("myjobs.spare").await.unwrap();
    told("five_seconds", Then::StopAll).await;
    until_status(&schedules, "myjobs.five_seconds", Status::Stopped).await;
    let all = schedules.list().await.unwrap();
    let spare = all.iter().find(|info| info.name == "myjobs.spare").unwrap();
    assert_eq!(spare.status, Status::Paused, "a pause stays a pause");
    assert!(all.iter().all(|info| info.status != Status::Active && info.next.is_none()));
    node.stop().await;

    // A restart of the same code starts no stopped schedule, and keeps every change.
    let (jobs, _heard) = my_jobs();
    let node = start(space.node().add(jobs));
    eventually("the node serves", || async { space.ready("myjobs").await == 0 }).await;
    let again = schedules.list().await.unwrap();
    assert_eq!(
        again,
        all.iter()
            .zip(&again)
            .map(|(info, other)| {
                let mut info = info.clone();
                info.now = other.now;
                info
            })
            .collect::<Vec<_>>()
    );
    node.stop().await;
}

/// Declares some schedules of the number job. Returns how many were added, updated, left as they
/// were, and disabled.
async fn declare(client: &Client, deploy: &str, set: &[(&str, &str)]) -> [usize; 4] {
    let mut declarations = vec![];
    for (name, timing) in set {
        declarations.push(client.schedule(*name, *timing, Number(1)).prepare().unwrap());
    }
    let done = client.declare_schedules("code", deploy, &declarations).await.unwrap();
    [done.added, done.updated, done.unchanged, done.disabled]
}

#[tokio::test]
async fn a_deploy_updates_its_own_and_keeps_what_was_changed_since() {
    let space = Space::new("deploy");
    let (client, schedules) = (&space.client, space.client.schedules("q"));
    let set = [("a", "1h"), ("b", "2h"), ("c", "3h")];
    client.schedule("mine", "5h", Number(1)).await.unwrap();
    assert_eq!(declare(client, "1", &set).await, [3, 0, 0, 0]);
    assert_eq!(declare(client, "1", &set).await, [0, 0, 3, 0]);
    let set_timing = |to: &str| {
        let to: Timing = to.parse().unwrap();
        move |schedule: &mut poolder::Schedule| {
            schedule.timing = to.clone();
            Ok(())
        }
    };
    schedules.change("a", set_timing("7h")).await.unwrap();
    schedules.change("b", set_timing("7h")).await.unwrap();
    schedules.pause("c").await.unwrap();

    // The code changes b and c, and leaves a as it was.
    let set = [("a", "1h"), ("b", "20h"), ("c", "30h")];
    assert_eq!(declare(client, "2", &set).await, [0, 2, 1, 0]);
    assert_eq!(timing(&schedules, "a").await, "7h", "the operator's change stays");
    assert_eq!(timing(&schedules, "b").await, "20h", "the code's new word counts");
    let c = schedules.get("c").await.unwrap().unwrap();
    assert_eq!((c.schedule.timing.to_string(), c.status), ("30h".into(), Status::Paused));
    assert_eq!(c.deploy.as_deref(), Some("2"));

    // Schedules that the code no longer declares are disabled. Those of clients stay, and those
    // that an operator paused stay paused until they are resumed.
    assert_eq!(declare(client, "3", &[("a", "1h")]).await, [0, 0, 1, 1]);
    for (name, status) in
        [("b", Status::Undeclared), ("c", Status::Paused), ("mine", Status::Active)]
    {
        let info = schedules.get(name).await.unwrap().unwrap();
        assert_eq!(
            (info.status, info.next.is_some()),
            (status, status == Status::Active),
            "{name}"
        );
    }
    assert_eq!(declare(client, "4", &set).await, [0, 0, 3, 0], "it comes back as it was");
    assert_eq!(schedules.get("b").await.unwrap().unwrap().status, Status::Active);
    assert_eq!(schedules.get("c").await.unwrap().unwrap().status, Status::Paused);

    // A schedule that a client made belongs to the code once the code declares it.
    assert_eq!(declare(client, "5", &[("mine", "6h")]).await, [0, 1, 0, 2]);
    assert_eq!(timing(&schedules, "mine").await, "6h");
    let others = [client.schedule("mine", "1h", Number(1)).prepare().unwrap()];
    let error = client.declare_schedules("other", "1", &others).await.unwrap_err();
    assert!(error.to_string().contains("belongs to scheduler \"code\""), "{error}");

    // A schedule that moves to another queue is disabled in the old one.
    let moved = client.schedule("mine", "6h", Number(1)).queue("elsewhere").prepare().unwrap();
    let done = client.declare_schedules("code", "6", &[moved]).await.unwrap();
    assert_eq!((done.added, done.disabled), (1, 1));
    assert_eq!(schedules.get("mine").await.unwrap().unwrap().status, Status::Undeclared);
    assert_eq!(schedules.count().await.unwrap(), 4);
}

#[tokio::test]
async fn the_deploy_that_declares_last_has_the_last_word() {
    let space = Space::new("last-word");
    let (client, schedules) = (&space.client, space.client.schedules("q"));
    let (old, new) = ([("a", "1h"), ("gone", "1h")], [("a", "2h"), ("fresh", "2h")]);
    declare(client, "1", &old).await;
    let shown = || async {
        let mut all = vec![];
        for info in schedules.list().await.unwrap() {
            let (status, timing) = (info.status.to_string(), info.schedule.timing.to_string());
            all.push(format!("{} {timing} {status} {}", info.name, info.deploy.unwrap()));
        }
        all
    };
    let newer = ["a 2h active 2", "fresh 2h active 2", "gone 1h undeclared 1"];
    declare(client, "2", &new).await;
    assert_eq!(shown().await, newer);
    // A node of the old deploy starts late: the trap that `docs/scheduling.md` describes.
    declare(client, "1", &old).await;
    assert_eq!(shown().await, ["a 1h active 1", "fresh 2h undeclared 2", "gone 1h active 1"]);
    // The remedy: a node of the new deploy starts once more.
    declare(client, "2", &new).await;
    assert_eq!(shown().await, newer);
}

#[tokio::test]
async fn many_nodes_that_start_at_once_declare_each_schedule_once() {
    let space = Space::new("at-once");
    let mut nodes = vec![];
    for _ in 0..8 {
        let client =
            Client::new(poolder::Config::new(space.url()).namespace(space.name())).unwrap();
        nodes.push(tokio::spawn(async move {
            declare(&client, "1", &[("a", "1h"), ("b", "2h"), ("c", "0 3 * * *")]).await
        }));
    }
    let mut added = 0;
    for node in nodes {
        added += within(node).await.unwrap()[0];
    }
    let schedules = space.client.schedules("q");
    assert_eq!((added, schedules.count().await.unwrap()), (3, 3));
}

#[tokio::test]
async fn a_crontab_feeds_the_workers_of_its_jobs() {
    let space = Space::new("crontab");
    let (worker, mut told) = teller();
    let crontab = Crontab::new("numbers").entry("one", "* * * * * *", Number(1)).entry_with(
        "two",
        "1s",
        Number(2),
        |schedule| {
            schedule.lane = Lane::High;
            Ok(())
        },
    );
    let node = start(space.node().add(crontab).pool(Pool::new("q").size(2).worker(worker)));
    let (mut one, mut two) = (0, 0);
    while one < 2 || two < 2 {
        match within(told.recv()).await.unwrap().0 {
            1 => one += 1,
            _ => two += 1,
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn a_node_with_a_schedule_that_cannot_be_does_not_start_and_says_why() {
    let space = Space::new("refused");
    let ends =
        |component: NodeResult| async move { within(component).await.unwrap_err().to_string() };
    let bad = [
        (Crontab::new("t").entry("x", "61 * * * *", Number(1)), "entry \"x\""),
        (Crontab::new("t").entry("x y", "1h", Number(1)), "schedule name \"x y\""),
        (Crontab::new("t t").entry("x", "1h", Number(1)), "owner of schedules \"t t\""),
        (
            Crontab::new("t").entry("x", "1h", Number(1)).entry("x", "2h", Number(1)),
            "twice: rename one",
        ),
    ];
    for (crontab, why) in bad {
        let (worker, _told) = teller();
        let node = space.node().add(crontab).pool(Pool::new("q").worker(worker));
        let error = ends(Box::pin(node.run_until(std::future::pending()))).await;
        assert!(error.contains(why), "{why}: {error}");
    }
    let (jobs, _heard) = my_jobs();
    let node = space.node().add(jobs.scheduler().job("wrong", "30 25 * * *"));
    let error = ends(Box::pin(node.run_until(std::future::pending()))).await;
    assert!(error.contains("job \"wrong\"") && error.contains("hour: 25"), "{error}");
    let (jobs, _heard) = my_jobs();
    let node = space.node().add(jobs.scheduler().adjust("absent", |_| Ok(())));
    let error = ends(Box::pin(node.run_until(std::future::pending()))).await;
    assert!(error.contains("\"absent\": it is adjusted, but was never added"), "{error}");
}

type NodeResult = std::pin::Pin<Box<dyn Future<Output = std::result::Result<(), poolder::Error>>>>;
