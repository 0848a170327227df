//! Enqueues that wait for replicas or for the disk.

use std::time::Duration;

use poolder::{Durability, Stored};
use poolder_devserver::{Fsync, Sentinel, Server};

use crate::harness::{Number, Space};

#[tokio::test]
async fn a_replicated_job_is_on_the_replica_and_a_missing_replica_is_said() {
    let servers = Sentinel::start(1).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(servers.url(), "replicated");
    let one = Durability::replicated(1);
    let hour = Duration::from_secs(3600);
    let job = || space.client.enqueue(Number(1)).id("one").idempotent(hour).durability(one);
    assert!(matches!(job().await.unwrap().stored, Stored::Ready(_)));
    let key = space.key("q", "ready:normal");
    let replica = &servers.servers()[1];
    assert_eq!(replica.command(&["XLEN", &key]).unwrap(), "1");
    space.client.enqueue(Number(2)).after(hour).durability(one).await.unwrap();
    let jobs = (3..6).map(|n| space.client.enqueue(Number(n)).durability(one).prepare()).collect();
    assert!(space.client.enqueue_prepared(jobs).await.iter().all(Result::is_ok));
    assert_eq!(replica.command(&["XLEN", &key]).unwrap(), "4");

    replica.pause().unwrap();
    let short = Durability::Replicated { replicas: 1, timeout: Duration::from_millis(100) };
    let error = space.client.enqueue(Number(6)).durability(short).await.unwrap_err();
    assert!(error.is_unknown() && error.job_id().is_some(), "{error}");
    assert!(error.to_string().contains("0 of 1 replicas"), "{error}");
    replica.resume().unwrap();
    assert_eq!(job().await.unwrap().stored, Stored::Already, "asked again, it is confirmed");
}

#[tokio::test]
async fn a_job_on_disk_needs_a_server_that_writes_to_one() {
    let forgetful = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(forgetful.url(), "nodisk");
    let error =
        space.client.enqueue(Number(1)).durability(Durability::fsynced()).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("nothing was stored"), "{error}");
    assert_eq!(space.ready("q").await, 0);

    let server = Server::builder().aof(Fsync::EverySec).start().unwrap();
    let knows = server.command(&["WAITAOF", "0", "0", "1"]).is_ok();
    let space = Space::on(server.url(), "disk");
    let stored = space.client.enqueue(Number(1)).durability(Durability::fsynced()).await;
    assert_eq!(stored.is_ok(), knows, "{stored:?}");
}

#[tokio::test]
async fn what_cannot_be_confirmed_is_stored_all_the_same_and_said_to_be_unknown() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "unconfirmed");
    server.command(&["ACL", "SETUSER", "default", "-wait"]).unwrap();
    let one = Durability::replicated(1);
    let error = space.client.enqueue(Number(1)).durability(one).await.unwrap_err();
    assert!(error.is_unknown() && error.job_id().is_some(), "{error}");
    let jobs = (2..4).map(|n| space.client.enqueue(Number(n)).durability(one).prepare()).collect();
    let results = space.client.enqueue_prepared(jobs).await;
    assert!(results.iter().all(|one| one.as_ref().is_err_and(poolder::Error::is_unknown)));
    assert_eq!(space.ready("q").await, 3, "to call them refused would make them six");
}
