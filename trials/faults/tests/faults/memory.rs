use super::*;
use faults::Server;
use std::time::Instant;

fn blobs(seen: &Seen, takes: Duration) -> impl Worker<Job = Blob> + use<> {
    let seen = seen.clone();
    worker_fn(move |b: Blob, _cx: Context| {
        let seen = seen.clone();
        async move {
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            seen.note(b.n);
            Done
        }
    })
}
async fn fill(c: &Client, data: &str) -> (u64, Error) {
    let mut n = 0;
    loop {
        match c.enqueue(Blob { n, data: data.into() }).await {
            Ok(_) => n += 1,
            Err(e) => return (n, e),
        }
    }
}

/// bull #433, #2173; arena #115; sidekiq #5558: full under noeviction, a node comes to drain it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oom_node_starts_on_a_full_server_and_drains_it() {
    let t = "oom_start";
    let s = Server::start(&[("maxmemory", "20mb"), ("maxmemory-policy", "noeviction")]);
    let c = client(&s.url());
    let (stored, e) = fill(&c, &"x".repeat(10_000)).await;
    say(t, format!("{stored} jobs stored, then: {}", what(&e)));
    // Stands for the memory of other users: usage stays above the limit until something is freed.
    assert!(e.is_refused());
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(8).worker(blobs(&seen, Duration::ZERO))),
    );
    let took = until_seen(45, &seen, stored as usize).await;
    say(
        t,
        format!(
            "ran {} of {stored} within {took:?}; used {} of {}",
            seen.distinct(),
            s.info("used_memory_human"),
            s.info("maxmemory_human")
        ),
    );
    assert!(took.is_some(), "a full queue is never drained: the node does not claim");
    node.stop().await;
}

/// The same with a node that runs already, whose slots were busy for 8 s when the memory ran out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oom_running_node_with_busy_slots_drains_the_queue() {
    let t = "oom_busy";
    let s = Server::start(&[("maxmemory", "20mb"), ("maxmemory-policy", "noeviction")]);
    let c = client(&s.url());
    let seen = Seen::default();
    let node =
        start(Node::builder(c.clone()).pool(Pool::new("q").size(8).worker(blobs(&seen, secs(9)))));
    tokio::time::sleep(secs(1)).await;
    let (stored, e) = fill(&c, &"x".repeat(100_000)).await;
    say(t, format!("{stored} jobs stored, then: {}", what(&e)));
    let took = until_seen(60, &seen, 17).await;
    say(
        t,
        format!(
            "ran {} (8 were running when it became full) within {took:?}; used {}",
            seen.distinct(),
            s.info("used_memory_human")
        ),
    );
    assert!(took.is_some(), "the node runs what it held, and never claims again");
    node.stop().await;
}

/// sidekiq #5558: jobs fail and want to be retried while the server is full; later it is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oom_retries_are_not_lost() {
    let t = "oom_retry";
    let s = Server::start(&[("maxmemory-policy", "noeviction")]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, cx: Context| {
        let seen = sn.clone();
        async move {
            tokio::time::sleep(secs(2)).await;
            if cx.attempt() == 1 {
                return Err::<Outcome, BoxError>("no".into());
            }
            seen.note(n);
            Ok(Done)
        }
    });
    let node = start(
        Node::builder(c.clone()).pool(
            Pool::new("q")
                .size(20)
                .policy(poolder::Policy::default().backoff(Backoff::Fixed(ms(500))))
                .worker(w),
        ),
    );
    tokio::time::sleep(secs(1)).await;
    for n in 0..20 {
        c.enqueue(N(n)).await.unwrap();
    }
    tokio::time::sleep(secs(1)).await;
    s.cmd(&["CONFIG", "SET", "maxmemory", "1mb"]);
    tokio::time::sleep(secs(15)).await;
    say(t, format!("while full: {} done", seen.distinct()));
    s.cmd(&["CONFIG", "SET", "maxmemory", "0"]);
    let took = until_seen(30, &seen, 20).await;
    tokio::time::sleep(secs(1)).await;
    say(
        t,
        format!(
            "all done after {took:?}, runs to the end {}, completed {}",
            seen.total(),
            c.inspect("q").overview().await.unwrap().counter("completed")
        ),
    );
    assert!(took.is_some() && seen.total() == 20);
    node.stop().await;
}

/// bull #540, laravel/horizon #120, odota/core #338: MISCONF for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misconf_rdb_for_a_while() {
    let t = "misconf";
    let s = Server::start(&[("save", "1 1")]);
    let c = client(&s.url());
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, ms(300)))),
    );
    let node2 = start(
        Node::builder(client(&s.url()))
            .pool(Pool::new("q").size(4).worker(counting(&seen, ms(300)))),
    );
    tokio::time::sleep(secs(2)).await;
    for n in 0..100 {
        c.enqueue(N(n)).await.unwrap();
    }
    // A snapshot cannot take the place of a folder.
    let _ = std::fs::remove_file(s.dir().join("dump.rdb"));
    std::fs::create_dir_all(s.dir().join("dump.rdb/x")).unwrap();
    let mut refused = None;
    let started = Instant::now();
    let mut n = 100;
    while started.elapsed() < secs(20) {
        match c.enqueue(N(n)).await {
            Ok(_) => n += 1,
            Err(e) => refused = Some(what(&e)),
        }
        tokio::time::sleep(ms(200)).await;
    }
    say(t, format!("while it cannot save: {refused:?}; done {} of {n}", seen.distinct()));
    std::fs::remove_dir_all(s.dir().join("dump.rdb")).unwrap();
    s.cmd(&["BGSAVE"]);
    let up = until(30, || async { c.enqueue(N(n)).await.is_ok() }).await;
    n += 1;
    let took = until_seen(40, &seen, n as usize).await;
    tokio::time::sleep(secs(1)).await;
    say(
        t,
        format!(
            "writes again after {up:?}, all done after {took:?}; runs {} of {n} jobs; completed {}",
            seen.total(),
            c.inspect("q").overview().await.unwrap().counter("completed")
        ),
    );
    assert!(took.is_some() && seen.total() as u64 == n);
    node.stop().await;
    node2.stop().await;
}

/// A small disk in memory, which only root may mount.
struct Disk(std::path::PathBuf);
impl Disk {
    fn of_four_megabytes() -> Option<Self> {
        let folder = format!("poolder-trials-tmpfs-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&folder);
        let mounted = mount.status().is_ok_and(|status| status.success());
        let disk = Self(folder);
        mounted.then_some(disk)
    }
}
impl Drop for Disk {
    fn drop(&mut self) {
        // Nothing is mounted there when that failed.
        let _ = std::process::Command::new("umount").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// celery/laravel: the disk of the append-only file is full for a while (everysec).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aof_disk_full_for_a_while() {
    let t = "aof_full";
    let Some(disk) = Disk::of_four_megabytes() else {
        say(t, "no tmpfs here: not tried");
        return;
    };
    let mount = disk.0.display().to_string();
    let s = Server::start(&[("appendonly", "yes"), ("appendfsync", "everysec"), ("dir", &mount)]);
    let c = client(&s.url());
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, ms(200)))),
    );
    tokio::time::sleep(secs(1)).await;
    for n in 0..100 {
        c.enqueue(N(n)).await.unwrap();
    }
    let filler = format!("{mount}/filler");
    let _ = std::fs::write(&filler, vec![0u8; 4 << 20]);
    let started = Instant::now();
    let (mut n, mut refused, mut unknown) = (100, None, 0);
    while started.elapsed() < secs(15) {
        match c.enqueue(N(n)).await {
            Ok(_) => n += 1,
            Err(e) => {
                if e.is_unknown() {
                    unknown += 1;
                    n += 1;
                }
                refused = Some(what(&e));
            }
        }
        tokio::time::sleep(ms(200)).await;
    }
    say(
        t,
        format!(
            "while the disk is full: {refused:?}; unknown {unknown}; done {} of {n}",
            seen.distinct()
        ),
    );
    std::fs::remove_file(&filler).unwrap();
    let up = until(30, || async { c.enqueue(N(n)).await.is_ok() }).await;
    n += 1;
    let took = until_seen(40, &seen, n as usize - unknown).await;
    say(
        t,
        format!("writes again after {up:?}, all done after {took:?}; runs {} of {n}", seen.total()),
    );
    node.stop().await;
    drop(s);
    drop(disk);
    assert!(took.is_some() && up.is_some());
}

/// kue #1146, perses #400, redis #1687: replies above client-output-buffer-limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_buffer_limit_is_survived() {
    let t = "outbuf";
    let s = Server::start(&[]);
    s.cmd(&["CONFIG", "SET", "client-output-buffer-limit", "normal 8388608 0 0"]);
    let c = client(&s.url());
    let data = "y".repeat(900_000);
    for n in 0..40 {
        c.enqueue(Blob { n, data: data.clone() }).await.unwrap();
    }
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(32).worker(blobs(&seen, Duration::ZERO))),
    );
    let took = until_seen(60, &seen, 40).await;
    let closed = s.log().matches("overcoming of output buffer limits").count();
    say(
        t,
        format!(
            "ran {} of 40 jobs of 900 kB within {took:?}, a limit of 8 MiB per reply; connections closed by it: {closed}",
            seen.distinct()
        ),
    );
    assert!(took.is_some(), "jobs that do not fit into one reply together never run");
    node.stop().await;
}

/// bullmq #4608-like sizes: 200 jobs of 1 MiB at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_payloads() {
    let t = "large";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let data = "y".repeat(1_000_000);
    let started = Instant::now();
    let results = c.enqueue_many((0..200).map(|n| Blob { n, data: data.clone() })).await;
    let ok = results.iter().filter(|r| r.is_ok()).count();
    say(t, format!("enqueue_many: {ok} of 200 in {:?}", started.elapsed()));
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone())
            .pool(Pool::new("q").size(200).worker(blobs(&seen, Duration::ZERO))),
    );
    let took = until_seen(60, &seen, ok).await;
    say(t, format!("ran {} within {took:?}", seen.distinct()));
    assert!(took.is_some() && ok == 200);
    node.stop().await;
}

/// arena #115, bull #433: the data of others fills a shared server; jobs that are there could still run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oom_by_others_does_not_stop_the_backlog() {
    let t = "oom_shared";
    let s = Server::start(&[("maxmemory-policy", "noeviction")]);
    let c = client(&s.url());
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, ms(100)))),
    );
    tokio::time::sleep(secs(2)).await;
    for r in c.enqueue_many((0..600).map(N)).await {
        r.unwrap();
    }
    s.cmd(&["SET", "foreign", &"x".repeat(3_000_000)]);
    s.cmd(&["CONFIG", "SET", "maxmemory", "2mb"]);
    let full = Instant::now();
    let took = until_seen(60, &seen, 600).await;
    let (at_end, completed) =
        (seen.distinct(), c.inspect("q").overview().await.unwrap().counter("completed"));
    say(
        t,
        format!(
            "600 jobs of 0.1 s on 4 slots (15 s of work), the server is full: {at_end} ran within {:?} ({took:?}), completed {completed}; leader {:?}",
            full.elapsed(),
            c.inspect("q").overview().await.unwrap().leader
        ),
    );
    s.cmd(&["CONFIG", "SET", "maxmemory", "0"]);
    let then = until_seen(60, &seen, 600).await;
    say(t, format!("when there is room again: {then:?}; runs {}", seen.total()));
    node.stop().await;
    assert!(took.is_some(), "the node stops claiming 6 s after the server is full");
}
