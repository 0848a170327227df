use super::*;
use faults::{Server, cpu_seconds};

/// pgqueuer #630 (cancelled without its own shutdown), apalis-redis #76, gocraft/work PR #7: the future of a node is dropped.
#[test]
fn a_node_whose_future_is_dropped() {
    let t = "drop_node";
    let s = Server::start(&[]);
    let rt =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (started, finished) = (Seen::default(), Seen::default());
    let url = s.url();
    rt.block_on(async {
        let c = client(&url);
        let (st, fi) = (started.clone(), finished.clone());
        let w = worker_fn(move |N(n): N, _: Context| { let (st, fi) = (st.clone(), fi.clone()); async move { st.note(n); tokio::time::sleep(secs(6)).await; fi.note(n); Done } });
        for n in 0..4 { c.enqueue(N(n)).await.unwrap(); }
        let node = Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(w)).run_until(std::future::pending());
        tokio::select! { _ = node => {}, () = tokio::time::sleep(secs(3)) => {} }
        // Dropped here, as select! and timeout do.
        let running = started.distinct();
        tokio::time::sleep(secs(1)).await;
        let n0: u64 = s.info("total_commands_processed").parse().unwrap();
        let (a, m0) = (cpu_seconds(), tokio::runtime::Handle::current().metrics().num_alive_tasks());
        tokio::time::sleep(secs(5)).await;
        let used = cpu_seconds() - a;
        let asked = s.info("total_commands_processed").parse::<u64>().unwrap() - n0;
        say(t, format!("{running} jobs ran when the future was dropped; afterwards {} ran to their end; tasks alive {m0}; CPU in the next 5 s: {used:.2} s, commands to the server {asked}", finished.distinct()));
        for n in 10..20 { c.enqueue(N(n)).await.unwrap(); }
        tokio::time::sleep(secs(10)).await;
        let stolen = (10..20).filter(|n| started.has(*n)).count();
        let b = cpu_seconds();
        tokio::time::sleep(secs(5)).await;
        let later = cpu_seconds() - b;
        let seen = Seen::default();
        let node2 = start(Node::builder(client(&url)).pool(Pool::new("q").size(4).worker(counting(&seen, ms(10)))));
        let took = until(60, || async { (10..20).all(|n| seen.has(n) || finished.has(n)) }).await;
        say(t, format!("jobs taken by the dropped node later: {stolen}; CPU in 5 s later: {later:.2} s; tasks alive {}; a new node ran the rest {took:?}", tokio::runtime::Handle::current().metrics().num_alive_tasks()));
        node2.stop().await;
        assert!(took.is_some(), "jobs are stuck");
        assert!(used < 1.0 && later < 1.0, "what was left behind spins");
        assert!(stolen == 0, "a dropped node goes on claiming");
        assert!(finished.distinct() == 0 || running == 0, "handlers of a dropped node run on");
    });
}

/// Two nodes in one process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_in_one_process() {
    let t = "two_nodes";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let a =
        start(Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, ms(5)))));
    let b =
        start(Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, ms(5)))));
    tokio::time::sleep(secs(1)).await;
    c.enqueue_many((0..1000).map(N)).await;
    let took = until_seen(40, &seen, 1000).await;
    let n = c.nodes().await.unwrap().len();
    let (x, y) = (a.stop().await, b.stop().await);
    say(
        t,
        format!(
            "1000 jobs {took:?}, runs {}; nodes {n}; stopped in {x:?} {y:?}; nodes after {}; consumers {}",
            seen.total(),
            c.nodes().await.unwrap().len(),
            s.cmd(&["XINFO", "CONSUMERS", "t:{q.0}:ready:normal", "workers"])
        ),
    );
    assert!(
        took.is_some() && seen.total() == 1000 && n == 2 && c.nodes().await.unwrap().is_empty()
    );
}

/// bullmq #4656, #2430, bull #1414: stopping while the server cannot be reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_while_the_server_is_away() {
    let t = "stop_away";
    let mut slow = vec![];
    for way in ["never reachable", "killed", "hangs", "killed with a job running"] {
        let s = Server::start(&[]);
        let url = if way == "never reachable" {
            format!("redis://127.0.0.1:{}/", faults::free_port())
        } else {
            s.url()
        };
        let c = client(&url);
        let seen = Seen::default();
        let takes = if way.contains("job") { secs(3600) } else { Duration::ZERO };
        let node = start(
            Node::builder(c.clone())
                .shutdown_timeout(secs(5))
                .pool(Pool::new("q").size(4).worker(counting(&seen, takes)))
                .pool(Pool::new("keyed").mode(Mode::Phash).size(4).worker(counting(&seen, takes))),
        );
        tokio::time::sleep(secs(3)).await;
        if way.contains("job") {
            c.enqueue(N(1)).await.unwrap();
            tokio::time::sleep(secs(1)).await;
        }
        match way {
            "hangs" => s.pause(),
            "never reachable" => {}
            _ => s.kill(),
        }
        tokio::time::sleep(secs(3)).await;
        let took = node.stop().await;
        say(t, format!("server {way}: run_until returned after {took:?} (shutdown_timeout 5 s)"));
        if took > secs(20) {
            slow.push((way, took));
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}

/// bullmq/bull stalled jobs, celery heartbeat: the handler blocks the only thread of its runtime.
#[test]
fn a_handler_blocks_the_only_thread_of_its_runtime() {
    let t = "current_thread";
    let s = Server::start(&[]);
    let url = s.url();
    let seen = Seen::default();
    let (sn, u) = (seen.clone(), url.clone());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let blocking = std::thread::spawn(move || {
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        rt.block_on(async move {
            let w = worker_fn(move |N(n): N, _: Context| {
                let seen = sn.clone();
                async move {
                    if n == 0 {
                        std::thread::sleep(secs(25));
                    }
                    seen.note(n);
                    Done
                }
            });
            Node::builder(client(&u))
                .pool(Pool::new("q").size(4).worker(w))
                .run_until(async {
                    let _ = stopped.await;
                })
                .await
        })
    });
    let rt =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    rt.block_on(async {
        let c = client(&url);
        c.enqueue(N(0)).await.unwrap();
        tokio::time::sleep(secs(4)).await;
        let other = Seen::default();
        let node = start(Node::builder(client(&url)).pool(Pool::new("q").size(4).worker(counting(&other, ms(10)))));
        tokio::time::sleep(secs(1)).await;
        for n in 1..30 { c.enqueue(N(n)).await.unwrap(); }
        c.enqueue(N(50)).after(secs(3)).await.unwrap();
        let due = until(40, || async { other.has(50) || seen.has(50) }).await;
        let all = until(60, || async { (0..30).all(|n| other.has(n) || seen.has(n)) }).await;
        tokio::time::sleep(secs(2)).await;
        let twice: Vec<u64> = (0..51).filter(|n| other.of(*n) + seen.of(*n) > 1).collect();
        say(t, format!("the leader's only thread is blocked for 25 s: a job due in 3 s ran after {due:?}; all ran {all:?}; run twice {twice:?}"));
        let o = c.inspect("q").overview().await.unwrap();
        let _ = stop.send(());
        node.stop().await;
        let r = blocking.join().unwrap();
        say(t, format!("running at the end {}; node {:?}", o.running(), r.is_ok()));
        assert!(twice.is_empty() && all.is_some() && o.running() == 0);
        assert!(due.unwrap() < secs(20), "no other node takes the leader's duties over");
    });
}
