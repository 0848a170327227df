//! Groups of a limited queue as operators see and change them.

use std::collections::BTreeMap;
use std::time::Duration;

use poolder::{
    GroupLimits, GroupState, GroupView, JobResult, JobState, JobView, JournalEvent, Lane,
    QueueLimits, Timestamp, Why,
};
use poolder_core::Partition;

use crate::harness::{Number, Space};

fn partition() -> Partition {
    Partition::first(poolder::QueueName::new("q").unwrap())
}

/// Limits the queue, and lets so many jobs wait in each of these groups.
async fn waiting(name: &str, groups: &[(&str, u64)]) -> Space {
    let space = Space::new(name);
    space.client.limits("q").set(QueueLimits::new().group_concurrency(2)).await.unwrap();
    for (group, jobs) in groups {
        for number in 0..*jobs {
            space.client.enqueue(Number(number)).group(*group).await.unwrap();
        }
        // An enqueue without a group goes through a lane.
        space.client.broker().sort(&partition(), &mut Default::default()).await.unwrap();
    }
    space
}

/// Returns all groups, by pages of so many.
async fn listed(space: &Space, most: usize) -> BTreeMap<String, GroupView> {
    let (limits, mut groups, mut after, mut seen) = (space.client.limits("q"), vec![], None, 0);
    loop {
        let page = limits.groups(after, most).await.unwrap();
        seen += page.groups.len();
        groups.extend(page.groups);
        let Some(next) = page.next else { break };
        after = Some(next.to_string().parse().unwrap());
    }
    let by_name: BTreeMap<_, _> =
        groups.into_iter().map(|group| (group.name.clone(), group)).collect();
    assert_eq!(by_name.len(), seen, "none is there twice");
    by_name
}

#[tokio::test]
async fn groups_are_listed_in_pages_with_what_waits_runs_and_limits_them() {
    let space = waiting("groups-listed", &[("", 1), ("acme", 5), ("full", 3)]).await;
    let limits = space.client.limits("q");
    limits.set_group("acme", GroupLimits::new().concurrency(20).weight(5)).await.unwrap();
    limits.set_group("idle", GroupLimits::new().weight(3)).await.unwrap();
    limits.pause_group("quiet").await.unwrap();
    // Another program has stored a job of a group with a name that a client would refuse.
    let hostile = "\u{1b}[2Jx\n";
    let record: Vec<u8> =
        space.redis(redis::cmd("HGET").arg(space.key("q", "limits:groups")).arg("")).await;
    let key = space.key("q", "limits:groups");
    space.redis::<()>(redis::cmd("HSET").arg(key).arg(hostile).arg(&record)).await;
    let mut connection = space.connection("q", "n1").await;
    connection.admit(&[], 20, false).await.unwrap().0.claimed.unwrap();

    for most in [1, 2, 500] {
        let groups = listed(&space, most).await;
        let names: Vec<&str> = groups.keys().map(String::as_str).collect();
        assert_eq!(names, ["", hostile, "acme", "full", "idle", "quiet"], "{most}");
        let acme = &groups["acme"];
        assert_eq!((acme.concurrency, acme.weight, acme.paused), (Some(20), 5, None));
        let full = &groups["full"];
        assert_eq!((full.waiting, full.running, full.state), (1, 2, GroupState::Full));
        assert_eq!((full.concurrency, full.weight, full.own), (Some(2), 1, GroupLimits::new()));
        let idle = &groups["idle"];
        assert_eq!((idle.waiting, idle.state, idle.weight), (0, GroupState::Empty, 3));
        assert_eq!(groups["quiet"].state, GroupState::Paused);
        for (name, group) in &groups {
            assert_eq!(limits.group(name).await.unwrap().as_ref(), Some(group));
        }
    }
    let page = limits.groups(None, 500).await.unwrap();
    assert_eq!((page.active, page.own), (4, 3));
    assert_eq!(limits.group("none").await.unwrap(), None);
    let largest = limits.largest_groups(2, |_| true).await.unwrap();
    assert!(largest.groups[0].waiting >= largest.groups[1].waiting, "{largest:?}");
    assert_eq!((largest.groups.len(), largest.looked_at, largest.is_partial), (2, 6, false));
    let paused = limits.largest_groups(9, |group| group.paused.is_some()).await.unwrap().groups;
    assert_eq!((paused.len(), paused[0].name.as_str()), (1, "quiet"));
    // A group with control characters is operated, and gets no limits.
    assert!(limits.pause_group(hostile).await.unwrap());
    assert!(limits.resume_group(hostile).await.unwrap());
    assert!(limits.set_group(hostile, GroupLimits::new().weight(2)).await.is_err());
    for name in ["\0", &"x".repeat(129)] {
        let refused = limits.pause_group(name).await;
        assert!(refused.is_err_and(|error| error.is_invalid()), "{name:?}");
        assert!(limits.group(name).await.is_err_and(|error| error.is_invalid()), "{name:?}");
        assert!(limits.purge_group(name).await.is_err_and(|error| error.is_invalid()), "{name:?}");
    }
    assert_eq!(limits.purge_group(hostile).await.unwrap(), 0, "its record has no job");
}

#[tokio::test]
async fn a_paused_group_starts_nothing_until_it_is_resumed() {
    let space = waiting("groups-paused", &[("a", 5), ("b", 1)]).await;
    let limits = space.client.limits("q");
    limits.set_group("a", GroupLimits::new().concurrency(3)).await.unwrap();
    let mut connection = space.connection("q", "n1").await;
    let claimed = connection.admit(&[], 1, false).await.unwrap().0.claimed.unwrap();
    assert_eq!(claimed.jobs.len(), 1);
    let before = Timestamp::now();
    assert!(limits.pause_group("a").await.unwrap());
    assert!(!limits.pause_group("a").await.unwrap(), "it is paused already");
    let group = limits.group("a").await.unwrap().unwrap();
    assert_eq!((group.state, group.running, group.waiting), (GroupState::Paused, 1, 4));
    assert!(group.paused.unwrap() + Duration::from_secs(60) > before);

    // The other group goes on, and so does what runs. Jobs that come wait, one of the lane high, too.
    let handle = space.client.enqueue(Number(9)).group("a").await.unwrap().handle();
    space.client.enqueue(Number(10)).group("a").lane(Lane::High).await.unwrap();
    space.client.broker().sort(&partition(), &mut Default::default()).await.unwrap();
    let owner = "n1".into();
    let settle = poolder_core::broker::Settlement::new(
        claimed.jobs[0].clone(),
        owner,
        connection.history(),
        poolder_core::policy::decide::Transition::Complete,
    );
    let (exchange, _) = connection.admit(&[settle], 9, false).await.unwrap();
    assert_eq!(exchange.claimed.unwrap().jobs.len(), 1, "that of the other group");
    let group = limits.group("a").await.unwrap().unwrap();
    assert_eq!((group.state, group.running, group.waiting), (GroupState::Paused, 0, 6));
    let about = r#","kinds":[{"queue":"q","name":"number","version":1}],"limits":true"#;
    space.enter("n1", 0, 9, about).await;
    let why = space.client.job(&handle).explain().await.unwrap();
    assert_eq!(why.verdict, Why::GroupPaused, "{why}");
    assert!(why.is_stuck() && why.reason.starts_with("group a was paused"), "{why}");

    // Limits that are set meanwhile hold afterwards, and those of the queue start nothing.
    limits.set_group("a", GroupLimits::new().concurrency(1)).await.unwrap();
    limits.set(QueueLimits::new()).await.unwrap();
    let (exchange, _) = connection.admit(&[], 9, false).await.unwrap();
    assert!(exchange.claimed.unwrap().jobs.is_empty());
    assert!(limits.resume_group("a").await.unwrap());
    assert!(!limits.resume_group("a").await.unwrap(), "it is not paused");
    let (exchange, _) = connection.admit(&[], 9, false).await.unwrap();
    assert_eq!(exchange.claimed.unwrap().jobs.len(), 1, "its own limit");
    let group = limits.group("a").await.unwrap().unwrap();
    assert_eq!((group.state, group.own), (GroupState::Full, GroupLimits::new().concurrency(1)));

    // The pause ends with the limits. A queue without any has no groups.
    limits.pause_group("a").await.unwrap();
    limits.end().await.unwrap();
    let (exchange, _) = connection.admit(&[], 9, false).await.unwrap();
    assert_eq!(exchange.claimed.unwrap().jobs.len(), 5);
    limits.end().await.unwrap();
    space.client.broker().go_on_ending_limits(&partition()).await.unwrap();
    let paused = limits.pause_group("a").await;
    assert!(paused.is_err_and(|error| error.is_not_found()), "the queue has no limits");

    let journal = space.client.journal(&Default::default(), None, 20).await.unwrap().entries;
    let seen: Vec<(JournalEvent, &str)> = journal
        .iter()
        .rev()
        .map(|entry| (entry.record.event, entry.record.partition.as_str()))
        .collect();
    use JournalEvent::{GroupPaused, GroupResumed, LimitsEnded, LimitsSet};
    let expected = [
        (LimitsSet, "q"),
        (GroupPaused, "q/a"),
        (LimitsSet, "q"),
        (GroupResumed, "q/a"),
        (GroupPaused, "q/a"),
        (LimitsEnded, "q"),
        (LimitsEnded, "q"),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_purge_of_a_group_deletes_what_waits_and_frees_its_keys() {
    let space = waiting("groups-purged", &[("b", 2), ("a", 1)]).await;
    let limits = space.client.limits("q");
    let sort = async || {
        space.client.broker().sort(&partition(), &mut Default::default()).await.unwrap();
    };
    let unique = || {
        let job = space.client.enqueue(Number(50)).group("a");
        job.unique(poolder::Unique::until_done())
    };
    let kept = unique().await.unwrap();
    assert_eq!(unique().await.unwrap().job, kept.job);
    sort().await;
    let call = space.client.enqueue(Number(2)).group("a").keep_completion(Duration::from_secs(60));
    let call = call.await.unwrap().handle();
    let many = (0..600).map(Number).collect::<Vec<_>>();
    let sent = space.client.enqueue_many(many).group("a").await;
    let removed = sent[300].as_ref().unwrap().handle();
    space.client.job(&removed).remove().await.unwrap();
    let later = space.client.enqueue(Number(3)).group("a").after(Duration::from_secs(3_600));
    later.await.unwrap();
    let mut connection = space.connection("q", "n1").await;
    let claimed = connection.admit(&[], 2, false).await.unwrap().0.claimed.unwrap();
    let groups: Vec<_> = claimed.jobs.iter().map(|job| job.envelope.group().unwrap()).collect();
    assert_eq!(groups, ["b", "a"]);

    let first = limits.first_of_group("a", 3).await.unwrap();
    let ids: Vec<_> = first.iter().map(JobView::id).collect();
    assert_eq!(ids, [kept.job, call.job, sent[0].as_ref().unwrap().job]);
    assert!(first.iter().all(|job| job.state == JobState::Ready));
    assert_eq!(limits.purge_group("a").await.unwrap(), 601);
    let group = limits.group("a").await.unwrap().unwrap();
    assert_eq!((group.waiting, group.running), (0, 1));
    assert_eq!(limits.group("b").await.unwrap().unwrap().waiting, 1);
    let view = space.client.inspect("q").overview().await.unwrap();
    assert_eq!((view.grouped, view.due, view.running()), (1, 1, 2));
    assert_eq!(limits.purge_group("a").await.unwrap(), 0);
    assert_eq!(limits.purge_group("none").await.unwrap(), 0);
    // The caller that waits is told, and the key is free.
    let ended = space.client.job(&call).result::<()>().await.unwrap();
    assert!(matches!(ended, JobResult::Cancelled(_)), "{ended:?}");
    assert_ne!(unique().await.unwrap().job, kept.job);
    let entries = space.client.audit(&Default::default(), None, 20).await.unwrap().entries;
    let purges = entries.iter().filter(|entry| entry.record.action == "group.purge");
    let purges: Vec<_> = purges.map(|it| (it.record.target.as_str(), it.record.changed)).collect();
    let expected = [("q/none", 0), ("q/none", 0), ("q/a", 0), ("q/a", 0), ("q/a", 601), ("q/a", 0)];
    assert_eq!(purges, expected);
}

#[tokio::test]
async fn many_own_limits_are_read_in_pages_and_end_at_once() {
    let space = waiting("groups-own", &[]).await;
    let key = space.key("q", "limits:own");
    for part in 0..8 {
        let mut set = redis::cmd("HSET");
        set.arg(&key);
        for number in 0..1_000 {
            set.arg(format!("g{}", part * 1_000 + number)).arg("3 -");
        }
        space.redis::<()>(&mut set).await;
    }
    let limits = space.client.limits("q");
    limits.set_group("g7", GroupLimits::new().concurrency(9)).await.unwrap();
    let page = limits.groups(None, 100_000).await.unwrap();
    assert!((1..1_000).contains(&page.groups.len()), "{}", page.groups.len());
    assert_eq!((page.active, page.own), (0, 8_000));
    let groups = listed(&space, 500).await;
    assert_eq!((groups.len(), groups["g7"].concurrency), (8_000, Some(9)));
    limits.end().await.unwrap();
    let exists: bool = space.redis(redis::cmd("EXISTS").arg(&key)).await;
    assert!(!exists);
    // Limits that cannot be read are none, and those of others hold.
    limits.set(QueueLimits::new().group_concurrency(1)).await.unwrap();
    for (group, own) in [("a", "0 0"), ("b", "x"), ("c", "-5 1e99"), ("d", "")] {
        let mut set = redis::cmd("HSET");
        space.redis::<()>(set.arg(&key).arg(group).arg(own)).await;
        let mut mark = redis::cmd("HSET");
        space.redis::<()>(mark.arg(space.key("q", "limits")).arg("own").arg("1")).await;
        for number in 0..2 {
            space.client.enqueue(Number(number)).group(group).await.unwrap();
        }
        assert_eq!(limits.group(group).await.unwrap().unwrap().concurrency, Some(1), "{own:?}");
    }
    let mut connection = space.connection("q", "n1").await;
    let claimed = connection.admit(&[], 20, false).await.unwrap().0.claimed.unwrap();
    let groups: Vec<_> = claimed.jobs.iter().map(|job| job.envelope.group()).collect();
    assert_eq!(groups.len(), 4, "one of each: {groups:?}");
}
