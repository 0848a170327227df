//! Faults of the server and of the way to it, each on a server of its own.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Config, Severity};
use poolder_devserver::Server;

use super::well_formed;
use crate::harness::{Number, Space, eventually, start, teller, within};

fn server() -> Server {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    for setting in ["appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"] {
        set(&server, setting);
    }
    server
}

fn set(server: &Server, setting: &str) {
    let words: Vec<&str> = ["CONFIG", "SET"].into_iter().chain(setting.split(' ')).collect();
    server.command(&words).unwrap();
}

async fn codes(space: &Space) -> Vec<&'static str> {
    let diagnosis = space.client.doctor().await.unwrap();
    well_formed(&diagnosis);
    diagnosis.findings.iter().map(|found| found.code).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_found_in_a_sound_set_up() {
    let server = server();
    let space = Space::on(server.url(), "sound");
    let (worker, mut told) = teller();
    let (keyed, _heard) = teller();
    let builder = space.node().pool(Pool::new("q").worker(worker));
    let node = start(builder.pool(Pool::new("keyed").mode(Mode::Phash).size(4).worker(keyed)));
    for number in 0..20 {
        space.client.enqueue(Number(number)).await.unwrap();
        within(told.recv()).await.unwrap();
    }
    space.client.enqueue(Number(99)).after(Duration::from_secs(3_600)).await.unwrap();
    eventually("it is led, and each slot held", || async {
        let led = space.overview("q").await.leader.is_some();
        let slots = space.client.pool::<Number>("keyed").slots().await;
        led && slots.is_ok_and(|slots| slots.iter().all(|slot| slot.node.is_some()))
    })
    .await;
    let diagnosis = space.client.doctor().await.unwrap();
    assert!(diagnosis.is_sound() && diagnosis.worst().is_none(), "{diagnosis}");
    assert_eq!((diagnosis.queues, diagnosis.partitions, diagnosis.nodes), (2, 5, 1));
    let text = diagnosis.to_string();
    assert!(text.contains("nothing was found") && text.contains(&diagnosis.server), "{text}");
    let status = space.client.status().await.unwrap();
    assert!(!status.needs_a_person() && status.nodes == 1, "{status}");
    let queue = status.queues.iter().find(|queue| queue.queue.as_str() == "q").unwrap();
    assert_eq!((queue.ready, queue.running, queue.due, queue.dead), (0, 0, 1, 0));
    assert!(status.to_string().contains("nothing needs a person"));
    node.stop().await;
}

#[tokio::test]
async fn a_server_that_is_away_or_refuses_the_login_is_a_finding_without_the_password() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://ann:hunter2@{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(Config::new(&url)).unwrap();
    let diagnosis = client.doctor().await.unwrap();
    well_formed(&diagnosis);
    assert_eq!(diagnosis.findings[0].code, "unreachable");
    assert_eq!((diagnosis.worst(), diagnosis.now), (Some(Severity::Problem), None));
    assert!(!format!("{diagnosis}{diagnosis:?}").contains("hunter2"));

    let server = server();
    set(&server, "requirepass right");
    let client = Client::new(Config::new(format!("{}?pass=hunter2", server.url()))).unwrap();
    let diagnosis = client.doctor().await.unwrap();
    assert_eq!(diagnosis.findings[0].code, "login", "{diagnosis}");
    assert!(!format!("{diagnosis}{diagnosis:?}").contains("hunter2"));
}

#[tokio::test]
async fn settings_that_lose_jobs_and_a_full_memory_are_found() {
    let server = server();
    let space = Space::on(server.url(), "settings");
    assert_eq!(codes(&space).await, [""; 0]);
    set(&server, "appendfsync no");
    assert_eq!(codes(&space).await, ["appendfsync"]);
    set(&server, "appendfsync everysec");
    set(&server, "appendonly no");
    assert_eq!(codes(&space).await, ["aof"]);
    set(&server, "appendonly yes");
    set(&server, "maxmemory-policy allkeys-lru");
    assert_eq!(codes(&space).await, ["eviction"]);
    set(&server, "maxmemory 1gb");
    let found = space.client.doctor().await.unwrap().findings;
    assert_eq!((found[0].code, found[0].severity), ("eviction", Severity::Problem));
    set(&server, "maxmemory-policy noeviction");
    let used = space.redis::<String>(redis::cmd("INFO").arg("memory")).await;
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let used: u64 = used.trim().parse().unwrap();
    set(&server, &format!("maxmemory {}", used + used / 20));
    assert_eq!(codes(&space).await, ["memory"]);
    assert!(space.client.status().await.unwrap().needs_a_person());
}

#[tokio::test]
async fn a_replica_and_a_user_without_rights_are_found() {
    let (primary, other) = (server(), server());
    let space = Space::on(other.url(), "replica");
    // The address of a primary that does not answer: the server is a replica all the same.
    other.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    assert!(codes(&space).await.contains(&"replica"));

    let rule = ["ACL", "SETUSER", "weak", "on", ">pw", "~*", "&*", "+@all", "-xreadgroup", "-zadd"];
    primary.command(&rule).unwrap();
    let url = format!("{}?user=weak&pass=pw", primary.url());
    let space = Space::on(url, "rights");
    let found = space.client.doctor().await.unwrap().findings;
    if found.is_empty() {
        // A server before Redis 7 does not answer what a user may do.
        return;
    }
    assert_eq!(found[0].code, "rights");
    assert!(found[0].what.contains("zadd, xreadgroup"), "{}", found[0]);
}
