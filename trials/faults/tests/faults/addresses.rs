//! URLs, passwords and what an address leads to.

use super::*;
use faults::{Proxy, Server};
use std::time::Instant;

/// sidekiq #3589, redbeat #202, celery #3132, arq PR #392, kombu #2345.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urls_with_database_socket_and_strange_passwords() {
    let t = "urls";
    let password = "p@s/s:w#r?d%+ä=&";
    let encoded = "p%40s%2Fs%3Aw%23r%3Fd%25%2B%C3%A4%3D%26";
    let s = Server::start_with(&[], &[], Some(password));
    let sock = s.dir().join("s.sock");
    let urls = [
        (format!("redis://:{encoded}@127.0.0.1:{}/5", s.port), 5),
        (format!("redis://default:{encoded}@localhost:{}/6", s.port), 6),
        (format!("unix://{}?db=7&pass={encoded}", sock.display()), 7),
        (format!("redis+unix://{}?db=8&pass={encoded}", sock.display()), 8),
    ];
    let mut bad = vec![];
    // An option that has no effect is refused at once, and the error says what to do.
    for url in [
        format!("redis://:{encoded}@127.0.0.1:{}/?protocol=resp3", s.port),
        format!("redis://:{encoded}@127.0.0.1:{}/9?protocol=resp3", s.port),
    ] {
        let shown = url.replace(encoded, "…");
        let refused = Client::new(Config::new(&url).namespace("t")).err();
        say(t, format!("{shown}: {:?}", refused.as_ref().map(what)));
        if !refused.is_some_and(|e| e.is_invalid() && e.to_string().contains("remove")) {
            bad.push(shown);
        }
    }
    for (url, db) in &urls {
        let shown = url.replace(encoded, "…");
        let c = match Client::new(Config::new(url).namespace("t")) {
            Ok(c) => c,
            Err(e) => {
                say(t, format!("{shown}: {}", what(&e)));
                bad.push(shown);
                continue;
            }
        };
        let seen = Seen::default();
        let sn = seen.clone();
        let w = worker_fn(move |N(n): N, _: Context| {
            let seen = sn.clone();
            async move {
                seen.note(n);
                Ok::<_, BoxError>(Outcome::result(&n)?)
            }
        });
        let node = start(Node::builder(c.clone()).pool(Pool::new("q").size(2).worker(w)));
        let r: Result<u64, _> = c.call(N(7)).timeout(secs(10)).await;
        let later = c.enqueue(N(8)).after(ms(300)).await.is_ok();
        let took = until_seen(10, &seen, 2).await;
        let mut k = s.conn().unwrap();
        faults::send(&mut k, &["AUTH", password]);
        faults::send(&mut k, &["SELECT", &db.to_string()]);
        let keys = faults::send(&mut k, &["DBSIZE"]);
        say(
            t,
            format!(
                "{shown}: call {:?}, delayed {later} {took:?}, keys in db {db}: {keys:?}",
                r.as_ref().map_err(what)
            ),
        );
        if r.is_err() || took.is_none() || keys.as_deref() == Some("0") {
            bad.push(shown);
        }
        if node.task.is_finished() {
            say(
                t,
                format!(
                    "the node ended by itself: {:?}",
                    node.task.await.unwrap().map_err(|e| what(&e))
                ),
            );
        } else {
            node.stop().await;
        }
    }
    for raw in [
        format!("redis://:p#w@127.0.0.1:{}/", s.port),
        format!("redis://:p/w@127.0.0.1:{}/", s.port),
        format!("redis+sentinel://:p/w@127.0.0.1:{}/m", s.port),
        format!("redis+sentinel://:p%2Fw%40@127.0.0.1:{}/m/5", s.port),
        format!("redis+cluster://:p#w@127.0.0.1:{}", s.port),
    ] {
        let r = Client::new(Config::new(&raw));
        let text = match &r {
            Ok(c) => format!("accepted, shown as {c:?}"),
            Err(e) => what(e),
        };
        let leak = text.contains("p#w") || text.contains("p/w") || text.contains("p%2Fw");
        say(
            t,
            format!(
                "{} -> {text}{}",
                raw.replace("p#w", "P").replace("p/w", "P"),
                if leak { "  LEAKS THE PASSWORD" } else { "" }
            ),
        );
        if leak {
            bad.push("leak".into());
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

/// celery #7946, exq #381, redisson #241, sidekiq #2999: the name now leads to the promoted replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_leads_to_the_promoted_replica() {
    let t = "dns_swap";
    let a = Server::start(&[]);
    let b = Server::start(&[]);
    b.cmd(&["REPLICAOF", "127.0.0.1", &a.port.to_string()]);
    let up = until(20, || async { b.info("master_link_status") == "up" }).await;
    assert!(up.is_some());
    let p = Proxy::start(a.port);
    let c = client(&p.url());
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, ms(10)))),
    );
    for n in 0..20 {
        c.enqueue(N(n)).await.unwrap();
    }
    assert!(until_seen(20, &seen, 20).await.is_some());
    // As a managed failover does: the old primary stays up, as a replica; old connections stay open.
    b.cmd(&["REPLICAOF", "NO", "ONE"]);
    a.cmd(&["REPLICAOF", "127.0.0.1", &b.port.to_string()]);
    p.target.store(b.port as usize, std::sync::atomic::Ordering::Relaxed);
    let swapped = Instant::now();
    let mut errors = vec![];
    for n in 100..140u64 {
        loop {
            match c.enqueue(N(n)).await {
                Ok(_) => break,
                Err(e) => {
                    errors.push(what(&e));
                    tokio::time::sleep(ms(100)).await;
                }
            }
            if swapped.elapsed() > secs(40) {
                break;
            }
        }
    }
    errors.dedup();
    say(t, format!("enqueues go on after {:?}; errors meanwhile {errors:?}", swapped.elapsed()));
    let took = until_seen(40, &seen, 60).await;
    let nodes = c.nodes().await.unwrap();
    say(
        t,
        format!(
            "jobs run {took:?}; nodes {:?}; total runs {}",
            nodes.iter().map(|n| (n.name.clone(), n.silent)).collect::<Vec<_>>(),
            seen.total()
        ),
    );
    node.stop().await;
    assert!(took.is_some());
}

/// Password rotation, as managed servers do it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_changes_and_changes_back() {
    let t = "rotate";
    let s = Server::start_with(&[], &[], Some("one"));
    let url = format!("redis://:one@127.0.0.1:{}/", s.port);
    let c = client(&url);
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, ms(10)))),
    );
    c.enqueue(N(0)).await.unwrap();
    assert!(until_seen(10, &seen, 1).await.is_some());
    let mut admin = s.conn().unwrap();
    faults::send(&mut admin, &["AUTH", "one"]);
    faults::send(&mut admin, &["CONFIG", "SET", "requirepass", "two"]);
    faults::send(&mut admin, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    faults::send(&mut admin, &["CLIENT", "KILL", "TYPE", "pubsub"]);
    tokio::time::sleep(secs(15)).await;
    let e = c.enqueue(N(1)).await.map(|_| ()).map_err(|e| what(&e));
    say(t, format!("with the wrong password: {e:?}; node ended: {}", node.task.is_finished()));
    faults::send(&mut admin, &["AUTH", "two"]);
    faults::send(&mut admin, &["CONFIG", "SET", "requirepass", "one"]);
    let ok = until(10, || async { c.enqueue(N(2)).await.is_ok() }).await;
    let took = until_seen(20, &seen, 2).await;
    say(t, format!("with the right one again: enqueue {ok:?}, job {took:?}"));
    assert!(took.is_some() && !node.task.is_finished());
    node.stop().await;
}

/// bullmq #265 with a database in the URL: SELECT is refused while a script runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_and_loading_with_a_database() {
    let t = "busy_db";
    let s = Server::start(&[]);
    s.cmd(&["CONFIG", "SET", "busy-reply-threshold", "500"]);
    let url = format!("redis://127.0.0.1:{}/5", s.port);
    let mut k = s.conn().unwrap();
    std::thread::spawn(move || {
        faults::send(&mut k, &["EVAL", "while true do end", "0"]);
    });
    tokio::time::sleep(secs(2)).await;
    let c = client(&url);
    let e = c.enqueue(N(1)).await.unwrap_err();
    say(t, format!("a new client's enqueue: {}", what(&e)));
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone())
            .pool(Pool::new("q").size(4).worker(counting(&seen, Duration::ZERO))),
    );
    tokio::time::sleep(secs(3)).await;
    let ended = node.task.is_finished();
    s.cmd(&["SCRIPT", "KILL"]);
    say(t, format!("a node that starts meanwhile has ended: {ended}"));
    if ended {
        say(t, format!("the node's end: {:?}", node.task.await.unwrap().map_err(|e| what(&e))));
    } else {
        node.stop().await;
    }
    assert!(e.is_refused() && !ended);
}

/// Gone when its value is.
struct Sentinel(std::process::Child);
impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// dify #21191, celery #6301, django-rq PR #354: Sentinels with a password (the default of common charts).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_with_a_password() {
    let t = "sentinel_pw";
    let s = Server::start_with(&[("masterauth", "pw")], &[], Some("pw"));
    let port = faults::free_port();
    let conf = s.dir().join("sentinel.conf");
    std::fs::write(&conf, format!("port {port}\nbind 127.0.0.1\nrequirepass pw\nsentinel monitor m 127.0.0.1 {} 1\nsentinel auth-pass m pw\n", s.port)).unwrap();
    let mut command = std::process::Command::new(faults::program());
    command.arg(&conf).arg("--sentinel").arg("--logfile").arg(s.dir().join("sentinel.log"));
    let sentinel = Sentinel(command.spawn().unwrap());
    tokio::time::sleep(secs(2)).await;
    let c = client(&format!("redis+sentinel://:pw@127.0.0.1:{port}/m"));
    let r = c.enqueue(N(1)).await.map(|_| "stored").map_err(|e| what(&e));
    drop(sentinel);
    say(t, format!("enqueue by a Sentinel with the same password: {r:?}"));
    assert!(r.is_ok(), "there is no way to tell a Sentinel a password");
}
