//! A server that has no place for another client.

use super::*;
use faults::Server;

/// sidekiq #117, resque #1226, ioredis #809, kue #203.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maxclients_is_an_outage_not_an_end() {
    let t = "maxclients";
    let s = Server::start(&[]);
    s.cmd(&["CONFIG", "SET", "maxclients", "12"]);
    let foreign: Vec<_> = (0..12).filter_map(|_| s.conn()).collect();
    std::thread::sleep(ms(200));
    let c = client(&s.url());
    let e = c.enqueue(N(1)).await.unwrap_err();
    say(t, format!("enqueue: {}", what(&e)));
    let refused = e.is_refused();
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone())
            .pool(Pool::new("q").size(4).worker(counting(&seen, Duration::ZERO))),
    );
    tokio::time::sleep(secs(3)).await;
    let ended = node.task.is_finished();
    say(t, format!("a node that starts meanwhile has ended: {ended}"));
    drop(foreign);
    tokio::time::sleep(secs(1)).await;
    let ok = until(5, || async { c.enqueue(N(2)).await.is_ok() }).await;
    let took = until_seen(20, &seen, 1).await;
    say(t, format!("afterwards: enqueue {ok:?}, job ran {took:?}"));
    if ended {
        say(t, format!("the node's end: {:?}", node.task.await.unwrap().map_err(|e| what(&e))));
    } else {
        node.stop().await;
    }
    assert!(
        !ended && took.is_some(),
        "a node that starts while the server is full of clients gives up"
    );
    assert!(refused, "certainly nothing was stored, but the error does not say so");
}

/// The same for a node that runs already and loses its connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maxclients_under_a_running_node() {
    let t = "maxclients_run";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let node = start(
        Node::builder(c.clone())
            .pool(Pool::new("q").size(4).worker(counting(&seen, Duration::ZERO))),
    );
    c.enqueue(N(0)).await.unwrap();
    assert!(until_seen(10, &seen, 1).await.is_some());
    s.cmd(&["CONFIG", "SET", "maxclients", "12"]);
    let mut admin = s.conn().unwrap();
    let mut foreign = vec![];
    for _ in 0..12 {
        if let Some(x) = s.conn() {
            foreign.push(x);
        }
    }
    faults::send(&mut admin, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    foreign.clear();
    for _ in 0..12 {
        if let Some(x) = s.conn() {
            foreign.push(x);
        }
    }
    tokio::time::sleep(secs(12)).await;
    drop(foreign);
    let ok = until(10, || async { c.enqueue(N(1)).await.is_ok() }).await;
    let took = until_seen(20, &seen, 2).await;
    say(t, format!("after 12 s without a place: enqueue {ok:?}, job {took:?}"));
    assert!(took.is_some());
    node.stop().await;
}

/// kue #203 (the error comes as an answer to AUTH), sidekiq #117: with a password, or a database, in the URL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maxclients_with_a_password_or_a_database() {
    let t = "maxclients_auth";
    let mut bad = vec![];
    for way in ["password", "database"] {
        let s = if way == "password" {
            Server::start_with(&[], &[], Some("pw"))
        } else {
            Server::start(&[])
        };
        let url = if way == "password" {
            format!("redis://:pw@127.0.0.1:{}/", s.port)
        } else {
            format!("redis://127.0.0.1:{}/5", s.port)
        };
        let mut admin = s.conn().unwrap();
        if way == "password" {
            faults::send(&mut admin, &["AUTH", "pw"]);
        }
        faults::send(&mut admin, &["CONFIG", "SET", "maxclients", "12"]);
        let foreign: Vec<_> = (0..12).filter_map(|_| s.conn()).collect();
        tokio::time::sleep(ms(300)).await;
        let c = client(&url);
        let mut errors = vec![];
        for n in 0..10 {
            if let Err(e) = c.enqueue(N(n)).await {
                if !e.is_refused() {
                    bad.push(way);
                }
                errors.push(what(&e).split(" (job").next().unwrap().to_owned());
            }
        }
        errors.sort();
        errors.dedup();
        let seen = Seen::default();
        let node = start(
            Node::builder(c.clone())
                .pool(Pool::new("q").size(4).worker(counting(&seen, Duration::ZERO))),
        );
        tokio::time::sleep(secs(4)).await;
        let ended = node.task.is_finished();
        drop(foreign);
        say(
            t,
            format!(
                "{way}: enqueue says {errors:#?}; a node that starts meanwhile has ended: {ended}"
            ),
        );
        if ended {
            say(
                t,
                format!(
                    "{way}: the node's end: {:?}",
                    node.task.await.unwrap().map_err(|e| what(&e))
                ),
            );
            bad.push(way);
        } else {
            node.stop().await;
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}
