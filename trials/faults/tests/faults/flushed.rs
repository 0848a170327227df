use super::*;
use faults::Server;

#[derive(Clone)]
struct Tick(Seen);
impl Periodic for Tick {
    const NAME: &'static str = "tick";
    async fn handle_job(&mut self, _job: &str, _cx: Context) -> poolder::Result<Then> {
        self.0.note(
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
                as u64,
        );
        Ok(Then::Continue)
    }
}
/// bull #1143, bullmq #390, discourse/mini_scheduler PR #5: FLUSHALL / a restart without persistence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_declared_in_code_comes_back_after_a_flush() {
    let t = "flush_schedule";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let node =
        start(Node::builder(c.clone()).add(Scheduler::new(Tick(seen.clone())).job("a", "1s")));
    assert!(until_seen(20, &seen, 3).await.is_some());
    s.cmd(&["FLUSHALL"]);
    tokio::time::sleep(secs(2)).await;
    let before = seen.distinct();
    let took = until_seen(90, &seen, before + 3).await;
    say(
        t,
        format!(
            "ticks before {before}; three more after the flush within {took:?}; schedules listed now: {}",
            c.schedules("tick").count().await.unwrap()
        ),
    );
    node.stop().await;
    assert!(took.is_some(), "the schedule is gone until a node is restarted");
}

/// The same for addressed pools (bull #1143 again).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_addressed_pool_comes_back_after_a_flush() {
    let t = "flush_pool";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let node = start(Node::builder(c.clone()).pool(
        Pool::new("keyed").mode(Mode::Phash).size(4).worker(counting(&seen, Duration::ZERO)),
    ));
    let pool = c.pool::<N>("keyed");
    assert!(until(20, || async { pool.size().await.is_ok() }).await.is_some());
    for n in 0..10 {
        pool.cast(N(n)).key(n.to_string()).await.unwrap();
    }
    assert!(until_seen(20, &seen, 10).await.is_some());
    s.cmd(&["FLUSHALL"]);
    tokio::time::sleep(secs(2)).await;
    let fresh = client(&s.url());
    let other = fresh.pool::<N>("keyed");
    let first = other.cast(N(100)).key("k").await.map(|_| ()).map_err(|e| what(&e));
    let old = pool.cast(N(101)).key("k").await.map(|_| ()).map_err(|e| what(&e));
    say(t, format!("cast by a new client {first:?}, by the old one {old:?}"));
    let cast = until(60, || async { other.cast(N(102)).key("z").await.is_ok() }).await;
    let took = until(60, || async { seen.has(102) }).await;
    say(t, format!("casts again after {cast:?}, ran after {took:?}; 101 ran {}", seen.has(101)));
    node.stop().await;
    assert!(cast.is_some() && took.is_some(), "the pool is gone until a node is restarted");
}

/// penpot PR #7498, sidekiq #2857: restarted empty, under running jobs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_empty_under_running_jobs() {
    let t = "restart_empty";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, secs(4)))),
    );
    for n in 0..4 {
        c.enqueue(N(n)).await.unwrap();
    }
    tokio::time::sleep(secs(1)).await;
    s.restart();
    let ok = until(10, || async { c.enqueue(N(10)).await.is_ok() }).await;
    let took = until(20, || async { seen.has(10) }).await;
    tokio::time::sleep(secs(8)).await;
    let o = c.inspect("q").overview().await.unwrap();
    let nodes = c.nodes().await.unwrap();
    say(
        t,
        format!(
            "enqueue {ok:?}, ran {took:?}; now ready {} running {} ; nodes {} silent {:?}; runs {}",
            o.ready(),
            o.running(),
            nodes.len(),
            nodes.first().map(|n| n.silent),
            seen.total()
        ),
    );
    let stop = node.stop().await;
    say(t, format!("stopped in {stop:?}"));
    assert!(took.is_some() && o.running() == 0 && nodes.len() == 1 && stop < secs(10));
}

/// horizon #1168-like: restarted from an older snapshot: jobs come back from the past.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_from_an_older_snapshot() {
    let t = "older_rdb";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, secs(2)))),
    );
    let other = start(
        Node::builder(client(&s.url()))
            .pool(Pool::new("q").size(4).worker(counting(&seen, secs(2)))),
    );
    tokio::time::sleep(secs(1)).await;
    for n in 0..30 {
        c.enqueue(N(n)).await.unwrap();
    }
    for n in 30..40 {
        c.enqueue(N(n)).after(secs(3)).await.unwrap();
    }
    tokio::time::sleep(ms(1500)).await;
    s.cmd(&["SAVE"]);
    assert!(until_seen(40, &seen, 40).await.is_some());
    let after = c.inspect("q").overview().await.unwrap();
    say(t, format!("before: completed {}, runs {}", after.counter("completed"), seen.total()));
    s.restart();
    c.enqueue(N(100)).await.ok();
    let ok = until(20, || async { c.enqueue(N(101)).await.is_ok() }).await;
    let drained = until(60, || async {
        c.inspect("q").overview().await.is_ok_and(|o| o.ready() + o.running() + o.due == 0)
            && seen.has(101)
    })
    .await;
    let o = c.inspect("q").overview().await.unwrap();
    say(
        t,
        format!(
            "after going back: enqueue {ok:?}, drained {drained:?}; completed {} runs {}; dead {}",
            o.counter("completed"),
            seen.total(),
            o.dead
        ),
    );
    node.stop().await;
    other.stop().await;
    let left = s.cmd(&["KEYS", "*"]);
    say(t, format!("keys left: {}", left.replace('\n', " ")));
    assert!(drained.is_some() && o.dead == 0);
}

/// A queue moved to another server by its snapshot while nodes were killed (DUMP/RESTORE, RDB copy).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moved_to_another_server_with_claims_of_killed_nodes() {
    let t = "moved";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let old = Seen::default();
    let node = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&old, secs(3600)))),
    );
    for n in 0..10 {
        c.enqueue(N(n)).await.unwrap();
    }
    tokio::time::sleep(secs(3)).await;
    // Key by key, without the roster: only the queue is copied.
    let to = Server::start(&[]);
    let from_client = redis::Client::open(s.url()).unwrap();
    let mut from = from_client.get_connection().unwrap();
    let to_client = redis::Client::open(to.url()).unwrap();
    let mut dest = to_client.get_connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut from).unwrap();
    let with_roster = std::env::var("ROSTER").is_ok();
    for k in keys.iter().filter(|k| with_roster || !k.contains("{roster}")) {
        let dump: Vec<u8> = redis::cmd("DUMP").arg(k).query(&mut from).unwrap();
        let _: () = redis::cmd("RESTORE").arg(k).arg(0).arg(dump).query(&mut dest).unwrap();
    }
    node.task.abort();
    drop(s);
    let seen = Seen::default();
    let c2 = client(&to.url());
    let node2 = start(
        Node::builder(c2.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, ms(10)))),
    );
    let six = until_seen(20, &seen, 6).await;
    let all = until_seen(60, &seen, 10).await;
    say(
        t,
        format!(
            "copied {} keys; the 6 that waited {six:?}; the 4 that were claimed on the old server {all:?} (documented: 10 min for holders that the roster never knew)",
            keys.len()
        ),
    );
    node2.stop().await;
    assert!(six.is_some());
}
