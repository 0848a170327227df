//! Outages and damage of the server: cut connections, a restart, a flush, a lost group, a key of a
//! wrong type.

use std::collections::BTreeSet;
use std::time::Duration;

use poolder::prelude::*;
use poolder_devserver::{Fsync, Server};

use crate::harness::{Number, Space, eventually, start, teller, within};

fn server() -> Server {
    Server::start().unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn cut_connections_lose_nothing_and_complete_nothing_twice() {
    let server = server();
    let space = Space::on(server.url(), "cut");
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(16).worker(worker)));
    let hour = Duration::from_secs(3600);
    let producer = {
        let client = space.client.clone();
        tokio::spawn(async move {
            for number in 0..2_000 {
                let job = || client.enqueue(Number(number)).id(number.to_string()).idempotent(hour);
                // The client itself repeats idempotent enqueues a few times.
                while let Err(error) = job().await {
                    assert!(error.is_unknown() || error.is_refused(), "{error}");
                }
            }
        })
    };
    while !producer.is_finished() {
        server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).unwrap();
        // Some commands succeed between two cuts.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    producer.await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 2_000 {
        seen.insert(within(told.recv()).await.unwrap().0);
    }
    eventually("everything is settled", || async { space.ready("q").await == 0 }).await;
    assert_eq!(space.count("q", "completed").await, 2_000);
    node.stop().await;
}

#[tokio::test]
async fn a_server_without_room_for_a_client_says_so_in_the_error() {
    for builder in [Server::builder(), Server::builder().tcp()] {
        let server = builder.start().unwrap_or_else(|e| panic!("{e}"));
        let space = Space::on(server.url(), "maxclients");
        server.command(&["CONFIG", "SET", "maxclients", "1"]).unwrap();
        // The only place is taken by a connection that stays open.
        let taken = redis::Client::open(server.url()).unwrap();
        let mut taken = taken.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("PING").exec_async(&mut taken).await.unwrap();
        let error = space.client.enqueue(Number(1)).await.unwrap_err();
        let text = error.to_string();
        assert!(error.is_refused() && text.contains("max number of clients reached"), "{text}");
        assert!(!text.contains("is the server running"), "{text}");
    }
}

#[tokio::test]
async fn a_restarted_server_finds_its_jobs_again() {
    let server = Server::builder().aof(Fsync::Always).start().unwrap_or_else(|e| panic!("{e}"));
    let space = Space::on(server.url(), "restart");
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    let mut stored = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        for number in round * 100..round * 100 + 100 {
            if space.client.enqueue(Number(number)).await.is_ok() {
                stored.insert(number);
            }
            if number % 100 == 50 {
                server.kill().unwrap();
                server.restart().unwrap();
            }
        }
    }
    assert!(stored.len() > 200);
    while !stored.is_subset(&seen) {
        seen.insert(within(told.recv()).await.unwrap().0);
    }
    eventually("everything is settled", || async { space.ready("q").await == 0 }).await;
    node.stop().await;
}

#[tokio::test]
async fn a_flushed_server_and_a_destroyed_group_do_not_stop_a_node() {
    let server = server();
    let space = Space::on(server.url(), "flush");
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    let mut expected = 0;
    let mut works = async || {
        expected += 1;
        space.client.enqueue(Number(expected)).await.unwrap();
        while within(told.recv()).await.unwrap().0 != expected {}
    };
    works().await;
    server.command(&["FLUSHALL"]).unwrap();
    works().await;
    for lane in ["front", "suspect", "high", "normal", "low"] {
        let key = space.key("q", &format!("ready:{lane}"));
        server.command(&["XGROUP", "DESTROY", &key, "workers"]).unwrap();
    }
    works().await;
    server.command(&["SCRIPT", "FLUSH"]).unwrap();
    works().await;
    space.client.enqueue(Number(0)).after(Duration::from_millis(10)).await.unwrap();
    works().await;
    eventually("everything is settled", || async { space.ready("q").await == 0 }).await;
    node.stop().await;
}

#[tokio::test]
async fn a_group_that_is_lost_while_jobs_run_costs_no_job() {
    let server = server();
    let space = Space::on(server.url(), "group");
    let (go, gone) = tokio::sync::watch::channel(false);
    let (tell, mut started) = tokio::sync::mpsc::channel(20);
    let worker = worker_fn(move |_: Number, _: Context| {
        let (mut gone, tell) = (gone.clone(), tell.clone());
        async move {
            tell.send(()).await?;
            gone.wait_for(|gone| *gone).await?;
            Ok::<_, BoxError>(Done)
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    space.client.enqueue_many((0..10).map(Number)).await;
    let key = space.key("q", "ready:normal");
    for _ in 0..4 {
        within(started.recv()).await.unwrap();
    }
    server.command(&["XGROUP", "DESTROY", &key, "workers"]).unwrap();
    go.send_replace(true);
    space.until_count("q", "completed", 10).await;
    eventually("the stream is empty", || async { space.ready("q").await == 0 }).await;
    assert_eq!(space.count("q", "completed").await, 10);
    node.stop().await;
}

#[tokio::test]
async fn a_server_that_comes_late_is_waited_for_and_a_wrong_one_is_named() {
    let unreachable = Space::on("redis://127.0.0.1:1/", "no-server");
    let error = unreachable.client.enqueue(Number(1)).await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("POOLDER_REDIS_URL"), "{error}");
    let (worker, _told) = teller();
    let node = start(unreachable.node().pool(Pool::new("q").worker(worker)));
    node.stop().await;

    let locked = Server::builder().arg("requirepass", "s3cret").start().unwrap();
    let space = Space::on(locked.url(), "locked");
    let error = space.client.enqueue(Number(1)).await.unwrap_err();
    assert!(error.is_auth() && !format!("{error:?}").contains("s3cret"), "{error}");
    let (worker, _told) = teller();
    let node = space.node().pool(Pool::new("q").worker(worker));
    let error = within(node.run_until(std::future::pending())).await.unwrap_err();
    assert!(error.is_auth(), "{error}");

    let evicting =
        Server::builder().arg("maxmemory", "50mb").arg("maxmemory-policy", "allkeys-lru").start();
    let space = Space::on(evicting.as_ref().unwrap().url(), "evicting");
    let (worker, _told) = teller();
    let node = space.node().pool(Pool::new("q").worker(worker));
    let error = within(node.run_until(std::future::pending())).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("noeviction"), "{error}");
}

#[tokio::test]
async fn a_server_without_the_needed_commands_is_refused_by_name() {
    let file = std::env::temp_dir().join(format!("poolder-crippled-{}.conf", std::process::id()));
    std::fs::write(&file, "rename-command XREADGROUP \"\"\nrename-command XADD hidden\n").unwrap();
    let server = Server::builder().arg("include", file.to_str().unwrap()).start().unwrap();
    std::fs::remove_file(&file).unwrap();
    let space = Space::on(server.url(), "crippled");
    let error = space.client.enqueue(Number(1)).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("renamed"), "{error}");
    let (worker, _told) = teller();
    let node = space.node().pool(Pool::new("q").worker(worker));
    let error = within(node.run_until(std::future::pending())).await.unwrap_err();
    assert!(error.is_unsupported(), "{error}");
    assert!(error.to_string().contains("does not know XADD, XREADGROUP"), "{error}");
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_url_that_asks_for_tls_names_the_feature() {
    let error = Client::new(poolder::Config::new("rediss://:pw@localhost")).unwrap_err();
    assert!(error.to_string().contains("feature `tls`"), "{error}");
}

#[tokio::test]
async fn a_key_of_another_type_is_an_error_and_loses_nothing() {
    let space = Space::new("wrongtype");
    let key = space.key("q", "ready:normal");
    space.redis::<()>(redis::cmd("SET").arg(&key).arg("mine")).await;
    let error = space.client.enqueue(Number(1)).await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("WRONGTYPE"), "{error}");
    space.redis::<u64>(redis::cmd("DEL").arg(&key)).await;
    space.client.enqueue(Number(1)).await.unwrap();
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap().0, 1);
    node.stop().await;
}

#[tokio::test]
async fn what_never_left_is_refused_and_not_unknown() {
    // A listener that accepts connections and closes them at once, like a proxy whose server is
    // down.
    let door = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("redis://{}/", door.local_addr().unwrap());
    let hanging_up = tokio::spawn(async move { while door.accept().await.is_ok() {} });
    let space = Space::on(url, "door");
    let error = space.client.enqueue(Number(1)).await.unwrap_err();
    assert!(error.is_refused(), "it may safely be enqueued again: {error}");
    let results = space.client.enqueue_many((0..3).map(Number)).await;
    assert!(results.iter().all(|one| one.as_ref().is_err_and(poolder::Error::is_refused)));
    hanging_up.abort();
}

/// Returns how often entries were read with XRANGE: only settlements that check each entry do that.
fn careful(server: &Server) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]).unwrap();
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_xrange:calls="));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn after_another_history_only_what_was_claimed_before_is_settled_carefully() {
    let server = server();
    let space = Space::on(server.url(), "history");
    let (tell, mut told) = tokio::sync::mpsc::channel(100);
    let gate = tokio::sync::watch::Sender::new(false);
    let open = gate.subscribe();
    let worker = worker_fn(move |job: Number, _: Context| {
        let (tell, mut open) = (tell.clone(), open.clone());
        async move {
            tell.send(job.0).await?;
            open.wait_for(|open| *open).await?;
            Ok::<_, BoxError>(Done)
        }
    });
    // One busy slot: the connection of its claimer is open but idle.
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    space.client.enqueue(Number(0)).await.unwrap();
    assert_eq!(within(told.recv()).await, Some(0));
    let history = || server.command(&["INFO", "replication"]).unwrap();
    let before = history();
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    server.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    assert_ne!(before, history());
    let jobs = 50;
    for number in 1..=jobs {
        space.client.enqueue(Number(number)).await.unwrap();
    }
    let asked = careful(&server);
    gate.send_replace(true);
    for number in 1..=jobs {
        assert_eq!(within(told.recv()).await, Some(number));
    }
    let completed = async || {
        let mut get = redis::cmd("HGET");
        get.arg(space.key("q", "stats")).arg("completed");
        space.redis::<Option<u64>>(&mut get).await
    };
    eventually("all are done", || async { completed().await == Some(jobs + 1) }).await;
    let asked = careful(&server) - asked;
    assert!(asked < 10, "{asked} of {jobs} jobs of the new history were settled carefully");
    node.stop().await;
}

#[tokio::test]
async fn consumers_that_a_leaving_node_cannot_remove_are_removed_by_others() {
    let server = server();
    let space = Space::on(server.url(), "left");
    let node = || {
        let (worker, told) = teller();
        (start(space.node().pool(Pool::new("q").worker(worker))), told)
    };
    let (leaving, mut told) = node();
    space.client.enqueue(Number(1)).await.unwrap();
    within(told.recv()).await.unwrap();
    space.until_count("q", "completed", 1).await;
    let its_name = space.consumers("q").await.remove(0);
    server.command(&["ACL", "SETUSER", "default", "-xgroup"]).unwrap();
    leaving.stop().await;
    assert!(space.consumers("q").await.contains(&its_name));
    server.command(&["ACL", "SETUSER", "default", "+xgroup"]).unwrap();
    let (staying, _told) = node();
    eventually("the consumer is removed", || async {
        !space.consumers("q").await.contains(&its_name)
    })
    .await;
    staying.stop().await;
}
