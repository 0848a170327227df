//! The commands about schedules.

use std::time::Duration;

use poolder_core::{Lane, Overlap, Partition};

use crate::program::Program;

#[tokio::test]
async fn a_schedule_is_added_looked_at_changed_rested_run_and_removed() {
    let program = Program::new("cli");
    let client = program.client();
    let schedules = client.schedules("mail");
    let digest = ["digest", "--queue", "mail"];
    let on = |verb: &'static str| [&["schedule", verb][..], &digest].concat();
    let all = [
        "--kind",
        "mail.digest",
        "--payload",
        r#"{"list":3}"#,
        "--cron",
        "30 7 * * Mon-Fri",
        "--zone",
        "Europe/Berlin",
        "--missed",
        "all:7:7d",
        "--overlap",
        "queue-one",
        "--jitter",
        "90s",
        "--start",
        "2026-01-01T00:00:00Z",
        "--end",
        "2099-12-01T00:00:00+01:00",
        "--lane",
        "low",
        "--attempts",
        "3",
    ];
    let said = program.ok(&[&on("add")[..], &all].concat());
    assert!(said.starts_with("added digest of queue mail: 30 7 * * Mon-Fri, next at "), "{said}");
    let info = schedules.get("digest").await.unwrap().unwrap();
    assert_eq!(info.schedule.job.kind(), "mail.digest");
    assert_eq!(info.schedule.job.raw_job().payload, br#"{"list":3}"#);
    assert_eq!(info.schedule.job.policy().attempts, 3);
    assert_eq!(info.schedule.overlap, Overlap::QueueOne);
    // Without `--replace` an existing schedule is not replaced.
    let said = program.fails(5, &[&on("add")[..], &all].concat());
    assert!(said.contains("--replace"), "{said}");
    program.ok(&[&on("add")[..], &all, &["--replace"]].concat());

    // A node leads, and publishes a tick.
    let partition = Partition::first("mail".parse().unwrap());
    let ttl = Duration::from_secs(60);
    client.broker().lead(&partition, "host:1:a", ttl, None).await.unwrap();
    let tick = info.next.unwrap() + Duration::from_secs(1);
    client.broker().publish_ticks_as_of(&partition, "n1", Some(tick)).await.unwrap();
    let listed = program.ok(&["schedule", "list"]);
    assert!(listed.starts_with("QUEUE"), "{listed}");
    assert!(listed.contains("mail is led by host:1:a, term 1"), "{listed}");
    let listed = program.json(&["schedule", "list", "--queue", "mail"]);
    let one = &listed[0];
    assert_eq!((&one["name"], &one["runs"]), (&"digest".into(), &1.into()));
    assert_eq!(one["payload"], serde_json::json!({ "list": 3 }));
    assert_eq!(one["missed_policy"], "all:7:604800000ms");
    assert_eq!(one["leader"]["node"], "host:1:a");
    let run = &one["last_runs"][0];
    assert_eq!((&run["job"], &run["published_by"]), (&one["last_job"], &"n1".into()));
    assert_eq!((&run["end"], &run["missed"]), (&serde_json::Value::Null, &0.into()), "{run}");
    let shown = program.ok(&on("get"));
    for text in ["next three", "TICK", "not ended", run["job"].as_str().unwrap()] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert_eq!(program.json(&on("get")), *one);
    assert!(one["last_run"].is_string() && one["next"].is_string(), "{one}");

    // The command changes only the fields that it names.
    program
        .ok(&[&on("change")[..], &["--every", "90s", "--overlap", "skip", "--no-start"]].concat());
    let info = schedules.get("digest").await.unwrap().unwrap();
    assert_eq!(info.schedule.timing.to_string(), "90s");
    assert_eq!((info.schedule.overlap, info.schedule.start), (Overlap::Skip, None));
    assert_eq!(info.schedule.zone.to_string(), "Europe/Berlin");
    assert_eq!(info.schedule.job.raw_job().payload, br#"{"list":3}"#);
    let ticks = program.json(&[&on("preview")[..], &["-n", "3"]].concat());
    assert_eq!(ticks.as_array().unwrap().len(), 3);

    program.ok(&on("pause"));
    assert_eq!(program.json(&["schedule", "list"])[0]["status"], "paused");
    assert_eq!(program.json(&on("resume"))[0]["status"], "active");
    let job = program.json(&on("run"))[0]["job"].as_str().unwrap().to_owned();
    let waits = client.inspect("mail").ready(Lane::Low, None, 10).await;
    let waits: Vec<String> = waits.unwrap().jobs.iter().map(|job| job.id().to_string()).collect();
    assert!(waits.contains(&job), "{waits:?}");
    program.ok(&on("remove"));
    assert_eq!(program.run(&["schedule", "list"]).said(), ("", "no schedules\n"));
    for verb in ["pause", "resume", "remove", "run", "preview", "get"] {
        let said = program.fails(3, &on(verb));
        assert!(said.contains("hint: `poolder schedule list` shows all"), "{said}");
    }
}

#[tokio::test]
async fn several_schedules_or_all_of_a_queue_are_changed_at_once() {
    let program = Program::new("cli-schedules");
    for name in ["one", "two", "three"] {
        let every = ["--queue", "q", "--kind", "k", "--every", "1h"];
        program.ok(&[&["schedule", "add", name][..], &every].concat());
    }
    let on = |words: &[&'static str]| [&["schedule"], words, &["--queue", "q"]].concat();
    let status = || -> Vec<String> {
        let all = program.json(&["schedule", "list"]);
        let each = all.as_array().unwrap().iter();
        each.map(|one| format!("{} {}", one["name"], one["status"]).replace('"', "")).collect()
    };
    let done = program.run(&on(&["pause", "one", "none", "two"]));
    assert_eq!((done.code, done.out.lines().count()), (Some(3), 2), "{}", done.err);
    assert_eq!(status(), ["one paused", "three active", "two paused"]);
    program.ok(&on(&["pause", "--all"]));
    assert_eq!(status(), ["one paused", "three paused", "two paused"]);
    program.ok(&on(&["resume", "--all"]));
    assert_eq!(status(), ["one active", "three active", "two active"]);
    // Of all queues, those that match a text.
    let matching = ["schedule", "pause", "--all", "--match", "t"];
    assert_eq!(program.ok(&matching).lines().count(), 2);
    assert_eq!(status(), ["one active", "three paused", "two paused"]);
    assert_eq!(program.ok(&["schedule", "resume", "--all"]).lines().count(), 3);
    assert_eq!(program.ok(&on(&["remove", "--all", "--dry-run"])).lines().count(), 3);
    // More than one job, or the end of more than one schedule, takes a confirmation.
    assert!(program.fails(5, &on(&["run", "--all"])).contains("hint: add --yes"));
    assert!(program.fails(5, &on(&["remove", "one", "two"])).contains("remove 2 schedules"));
    assert_eq!(program.ok(&on(&["run", "one", "two", "--yes"])).lines().count(), 2);
    assert_eq!(program.ok(&on(&["remove", "one", "two", "--yes"])).lines().count(), 2);
    assert_eq!(status(), ["three active"]);
    program.fails(2, &on(&["pause"]));
    program.fails(2, &on(&["pause", "one", "--all"]));
    program.fails(2, &on(&["pause", "one", "--match", "t"]));
    program.fails(2, &["schedule", "pause", "one"]);
}

#[test]
fn an_expression_is_previewed_without_a_server() {
    let nowhere = Program::without_server();
    let preview = |words: &[&'static str]| [&["schedule", "preview"], words].concat();
    let done = nowhere.run(&preview(&["--cron", "0 9 * * Mon", "--zone", "Europe/Berlin"]));
    let (said, remarks) = done.said();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 11, "{said}");
    assert!(lines[1..].iter().all(|line| line.contains(" 09:00:00 CE")), "{said}");
    assert!(remarks.starts_with("time zones: "), "{remarks}");
    let ticks = nowhere.json(&preview(&["--every", "500ms", "-n", "2"]));
    let ms = |at: usize| {
        let text = ticks[at].as_str().unwrap();
        let seconds: f64 = text[17..23].parse().unwrap();
        seconds * 1_000.0
    };
    assert!((ms(1) - ms(0)).rem_euclid(60_000.0) - 500.0 < 0.5, "{ticks}");
    let never = nowhere.run(&preview(&["--cron", "0 0 12 1 1 * 2001"]));
    assert_eq!(never.said(), ("", "it never ticks again\n"));
}

#[test]
fn bad_input_is_refused_in_one_line_that_says_what_to_do() {
    let program = Program::new("cli-bad");
    let long = "n".repeat(129);
    let add = |name: &'static str, words: &[&'static str]| {
        let fixed = ["schedule", "add", name, "--queue", "q", "--kind", "k"];
        program.fails(2, &[&fixed[..], words].concat())
    };
    for (words, hint) in [
        (&["--cron", "0 0 30 2 *"][..], "never"),
        (&["--cron", "0 0 12 1 1 * 2001"], "never"),
        (&["--every", "1m", "--end", "2020-01-01T00:00:00Z"], "never"),
        (&["--cron", "90s"], "use --every"),
        (&["--every", "0s"], "too short"),
        (&["--every", "soon"], "no interval"),
        (&[], "--cron or --every"),
        (&["--every", "1m", "--payload", "{user:7}"], "not JSON"),
        (&["--every", "1m", "--payload", "@/no/such/file"], "cannot be read"),
        (&["--every", "1m", "--missed", "all:0:1d"], "use 1 to"),
        (
            &["--every", "1m", "--start", "2030-01-01T00:00:00Z", "--end", "2029-01-01T00:00:00Z"],
            "ends before it starts",
        ),
    ] {
        let said = add("n", words);
        assert!(said.contains(hint), "{words:?}: {said}");
    }
    let named = ["schedule", "add", &long, "--queue", "q", "--kind", "k", "--every", "1m"];
    assert!(program.fails(2, &named).contains("128"));
    let kind = ["schedule", "add", "n", "--queue", "q", "--kind", "", "--every", "1m"];
    assert!(program.fails(2, &kind).contains("kind"));
    // Mistakes that the parser of the command line refuses.
    let zone = ["schedule", "preview", "--cron", "@daily", "--zone", "Mars/Olympus"];
    assert!(program.fails(2, &zone).contains("Mars/Olympus"));
    program.fails(2, &["schedule", "add", "n"]);
    assert_eq!(program.run(&["schedule", "list"]).said(), ("", "no schedules\n"));
}
