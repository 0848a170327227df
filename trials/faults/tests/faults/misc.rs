use super::*;
use faults::Server;

/// Enqueue from a Drop while the node shuts down.
struct Farewell(Client);
impl Drop for Farewell {
    fn drop(&mut self) {
        let c = self.0.clone();
        if let Ok(h) = tokio::runtime::Handle::try_current() {
            h.spawn(async move {
                let r = c.enqueue(N(77)).queue("bye").await;
                println!("[farewell] {:?}", r.map(|_| "stored").map_err(|e| what(&e)));
            });
        }
    }
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enqueue_from_drop_during_shutdown() {
    let t = "farewell";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let (cl, sn) = (c.clone(), seen.clone());
    let w = worker_fn(move |N(n): N, _: Context| {
        let (cl, seen) = (cl.clone(), sn.clone());
        async move {
            let _bye = Farewell(cl);
            seen.note(n);
            tokio::time::sleep(secs(3600)).await;
            Done
        }
    });
    let node = start(
        Node::builder(c.clone()).shutdown_timeout(secs(1)).pool(Pool::new("q").size(2).worker(w)),
    );
    c.enqueue(N(1)).await.unwrap();
    assert!(until_seen(10, &seen, 1).await.is_some());
    let took = node.stop().await;
    tokio::time::sleep(secs(1)).await;
    let stored = s.cmd(&["XLEN", "t:{bye.0}:ready:normal"]);
    let o = c.inspect("q").overview().await.unwrap();
    say(
        t,
        format!(
            "stopped in {took:?}; stored by the Drop: {stored}; the interrupted job is ready again: {}",
            o.ready()
        ),
    );
    assert!(stored == "1" && o.ready() == 1);
}

/// A handler that spawns and forgets: its context outlives its job.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_that_outlives_its_job() {
    let t = "forget";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, cx: Context| {
        let seen = sn.clone();
        async move {
            tokio::spawn(async move {
                tokio::time::sleep(secs(2)).await;
                let p = cx.progress(1, 2).await;
                println!(
                    "[forget] progress after the end: {:?}, interruption {:?}",
                    p.map_err(|e| e.to_string()),
                    cx.interruption()
                );
            });
            seen.note(n);
            Done
        }
    });
    let node = start(Node::builder(c.clone()).pool(Pool::new("q").size(2).worker(w)));
    let r = c.enqueue(N(1)).await.unwrap();
    assert!(until_seen(10, &seen, 1).await.is_some());
    tokio::time::sleep(secs(4)).await;
    let o = c.inspect("q").overview().await.unwrap();
    say(
        t,
        format!(
            "completed {} running {}; progress of the ended job {:?}; state {:?}",
            o.counter("completed"),
            o.running(),
            c.job(&r).progress().await.unwrap(),
            c.job(&r).state().await.unwrap()
        ),
    );
    node.stop().await;
    assert!(o.counter("completed") == 1 && o.running() == 0);
}

/// laravel PR #43310 was about one script; here: 10,000 at one ms, while others want the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_due_at_the_same_moment() {
    let t = "10k";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone())
            .pool(Pool::new("q").size(64).worker(counting(&seen, Duration::ZERO))),
    );
    let at = poolder::Timestamp::now() + secs(6);
    let jobs: Vec<_> = (0..10_000).map(|n| c.enqueue(N(n)).at(at).prepare()).collect();
    let ok = c.enqueue_prepared(jobs).await.iter().filter(|r| r.is_ok()).count();
    let started = std::time::Instant::now();
    let (mut worst, mut took) = (Duration::ZERO, None);
    while started.elapsed() < secs(60) {
        let t = std::time::Instant::now();
        let _ = c.ping().await;
        worst = worst.max(t.elapsed());
        if seen.distinct() == 10_000 {
            took = Some(started.elapsed());
            break;
        }
        tokio::time::sleep(ms(5)).await;
    }
    say(
        t,
        format!(
            "stored {ok}; all ran within {took:?}, 6 s of it until they were due; slowest ping meanwhile {worst:?}"
        ),
    );
    node.stop().await;
    assert!(took.is_some() && worst < secs(1));
}
