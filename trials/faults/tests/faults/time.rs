use super::*;
use faults::Server;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone)]
struct Tick(Seen);
impl Periodic for Tick {
    const NAME: &'static str = "tick";
    async fn handle_job(&mut self, _job: &str, cx: Context) -> poolder::Result<Then> {
        self.0.note(cx.tick().map(|t| t.at().millis()).unwrap_or(0) as u64);
        Ok(Then::Continue)
    }
}
/// A server whose clock is shifted by what a file says.
struct Skewed {
    s: Server,
    folder: PathBuf,
}
fn skewed() -> Skewed {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder =
        std::env::temp_dir().join(format!("poolder-trials-skew-{}-{n}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../torture/shim/skew.c");
    let (library, file) = (folder.join("skew.so"), folder.join("skew"));
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .status()
        .unwrap();
    assert!(built.success());
    std::fs::write(&file, 0i64.to_le_bytes()).unwrap();
    let env = [("LD_PRELOAD", library.to_str().unwrap()), ("POOLDER_SKEW", file.to_str().unwrap())];
    Skewed { s: Server::start_with(&[], &env, None), folder }
}
impl Drop for Skewed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
impl Skewed {
    fn set(&self, ms: i64) {
        use std::os::unix::fs::FileExt;
        std::fs::OpenOptions::new()
            .write(true)
            .open(self.folder.join("skew"))
            .unwrap()
            .write_all_at(&ms.to_le_bytes(), 0)
            .unwrap();
    }
}

/// quartznet #624, sidekiq-scheduler #283, dbader/schedule PR #323: ahead by a month for 4 s, and back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_clock_jumps_a_month_ahead_and_back() {
    let t = "clock";
    let k = skewed();
    let c = client(&k.s.url());
    let (ticks, seen) = (Seen::default(), Seen::default());
    let node = start(
        Node::builder(c.clone())
            .add(Scheduler::new(Tick(ticks.clone())).job("a", "2s"))
            .pool(Pool::new("q").size(4).worker(counting(&seen, ms(10))))
            .pool(Pool::new("keyed").mode(Mode::Phash).size(2).worker(counting(&seen, ms(10)))),
    );
    assert!(until_seen(20, &ticks, 2).await.is_some());
    c.enqueue(N(1)).await.unwrap();
    k.set(30 * 86_400_000);
    tokio::time::sleep(secs(5)).await;
    c.enqueue(N(2)).await.unwrap();
    let ahead = ticks.distinct();
    k.set(0);
    tokio::time::sleep(secs(3)).await;
    c.enqueue(N(3)).await.unwrap();
    c.enqueue(N(4)).after(secs(1)).await.unwrap();
    let pool = c.pool::<N>("keyed");
    pool.cast(N(5)).key("k").await.unwrap();
    let jobs = until(40, || async { (1..6).all(|n| seen.has(n)) }).await;
    let before = ticks.distinct();
    let went = until(40, || async { ticks.distinct() >= before + 3 }).await;
    let info = c.schedules("tick").list().await.unwrap();
    say(
        t,
        format!(
            "ticks while ahead {ahead}, after {before}; jobs (plain, delayed, keyed) after the clock is right again {jobs:?}; three more ticks {went:?}; next tick {:?}",
            info.first().map(|i| format!("{i:?}").chars().take(600).collect::<String>())
        ),
    );
    let nodes = c.nodes().await.unwrap();
    say(t, format!("nodes {} silent {:?}", nodes.len(), nodes.first().map(|n| n.silent)));
    node.stop().await;
    assert!(jobs.is_some(), "jobs");
    assert!(went.is_some(), "the schedule is silent for a month");
}

/// quartznet PR #3148 (peers declare a node dead because a clock went back), quartz #270.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_clock_goes_back_an_hour_under_running_jobs() {
    let t = "clock_back";
    let k = skewed();
    let c = client(&k.s.url());
    let seen = Seen::default();
    let a = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, secs(12)))),
    );
    let b = start(
        Node::builder(client(&k.s.url()))
            .pool(Pool::new("q").size(4).worker(counting(&seen, secs(12)))),
    );
    tokio::time::sleep(secs(2)).await;
    for n in 0..8 {
        c.enqueue(N(n)).await.unwrap();
    }
    tokio::time::sleep(secs(1)).await;
    k.set(-3_600_000);
    tokio::time::sleep(secs(3)).await;
    c.enqueue(N(20)).after(secs(2)).await.unwrap();
    let r = c.enqueue(N(21)).await.unwrap();
    let took =
        until(50, || async { (0..8).all(|n| seen.has(n)) && seen.has(20) && seen.has(21) }).await;
    let twice: Vec<u64> = (0..30).filter(|n| seen.of(*n) > 1).collect();
    let nodes = c.nodes().await.unwrap();
    say(
        t,
        format!(
            "all ran {took:?}; twice {twice:?}; nodes {}; state of the last {:?}",
            nodes.len(),
            c.job(&r).state().await.unwrap()
        ),
    );
    // And forward again.
    for n in 30..38 {
        c.enqueue(N(n)).await.unwrap();
    }
    tokio::time::sleep(secs(1)).await;
    k.set(3_600_000);
    let took = until(50, || async { (30..38).all(|n| seen.has(n)) }).await;
    let twice: Vec<u64> = (0..40).filter(|n| seen.of(*n) > 1).collect();
    say(
        t,
        format!(
            "two hours ahead again: all ran {took:?}; twice {twice:?}; nodes {}",
            c.nodes().await.unwrap().len()
        ),
    );
    a.stop().await;
    b.stop().await;
    assert!(took.is_some() && twice.is_empty());
}
