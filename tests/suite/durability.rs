//! Enqueues that wait for replicas or for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use poolder::{BatchOptions, Durability, Stored};
use poolder_devserver::{Fsync, Sentinel, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Number, Space, eventually};

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

#[tokio::test]
async fn an_entry_of_a_batcher_waits_for_its_confirmation_too() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "entries");
    let rows = space.client.batcher::<u64>("rows");
    rows.declare(BatchOptions::default()).await.unwrap();
    let error = rows.push(1).durability(Durability::fsynced()).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("nothing was stored"), "{error}");
    let none = Durability::Replicated { replicas: 0, timeout: Duration::from_secs(1) };
    assert!(rows.push(1).durability(none).await.unwrap_err().is_invalid());
    assert_eq!(rows.len().await.unwrap(), 0);

    let short = Durability::Replicated { replicas: 1, timeout: Duration::from_millis(50) };
    let error = rows.push(1).durability(short).await.unwrap_err();
    assert!(error.is_unknown() && error.to_string().contains("0 of 1 replicas"), "{error}");
    let bulk = rows.push_many([2, 3]).durability(short).await;
    assert!(bulk.error.is_some_and(|error| error.is_unknown()));
    assert_eq!((bulk.stored, bulk.unknown), (0, 2));
    assert_eq!(rows.list(0).await.unwrap().entries, [1, 2, 3], "stored, though not confirmed");
}

/// A link that forwards bytes until it goes dark: then bytes vanish, and neither end is told.
struct Link {
    port: u16,
    dark: Arc<AtomicBool>,
}

impl Link {
    async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (port, target) = (listener.local_addr().unwrap().port(), server.port().unwrap());
        let dark = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&dark);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(forward(near_in, far_out, Arc::clone(&seen)));
                tokio::spawn(forward(far_in, near_out, Arc::clone(&seen)));
            }
        });
        Self { port, dark }
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, dark: Arc<AtomicBool>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if !dark.load(Ordering::Relaxed) && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// A repetition that only reads would be confirmed at once: `WAIT` waits for the last write of its
/// connection.
#[tokio::test]
async fn a_repetition_is_not_confirmed_by_a_replica_that_does_not_have_the_job() {
    let tcp = || Server::builder().tcp().start().unwrap_or_else(|error| panic!("{error}"));
    let (primary, replica) = (tcp(), tcp());
    let link = Link::to(&primary).await;
    replica.command(&["REPLICAOF", "127.0.0.1", &link.port.to_string()]).unwrap();
    let space = Space::on(primary.url(), "dark");
    let short = Durability::Replicated { replicas: 1, timeout: Duration::from_millis(300) };
    let hour = Duration::from_secs(3600);
    // A connection that has written before waits for that write: each enqueue has its own.
    let fresh = || Space::named(primary.url(), space.name().to_owned());
    let named = |space: &Space, name: &str, delay| {
        space.client.enqueue(Number(1)).id(name).after(delay).durability(short).prepare()
    };
    let enqueue = async |name: &str, delay, window: Option<Duration>| {
        let space = fresh();
        let mut job = named(&space, name, delay).unwrap();
        job.idempotent = window;
        space.client.broker().enqueue(&job).await
    };
    let now = Duration::ZERO;
    eventually("the replica is in step", || async { enqueue("first", now, None).await.is_ok() })
        .await;

    let batcher = |space: &Space| space.client.batcher::<u64>("rows");
    batcher(&space).declare(BatchOptions::default()).await.unwrap();

    link.dark.store(true, Ordering::Relaxed);
    for attempt in ["first", "second"] {
        let push = batcher(&fresh()).push(1).durability(short).token("one", hour).await;
        assert!(push.is_err_and(|error| error.is_unknown()), "an entry, {attempt}");
        for (case, name, delay, window) in [
            ("receipt", "a", now, Some(hour)),
            ("waiting", "b", hour, None),
            ("waiting, with a receipt", "c", hour, Some(hour)),
            ("waiting, found by one that is to run now", "b", now, Some(hour)),
        ] {
            let error = enqueue(name, delay, window).await.expect_err(case);
            assert!(error.is_unknown(), "{case}, {attempt}: {error}");
        }
        for (name, window) in [("a", Some(hour)), ("d", Some(hour)), ("e", None)] {
            let space = fresh();
            let mut job = named(&space, name, hour).unwrap();
            job.idempotent = window;
            let bulk = space.client.enqueue_prepared(vec![Ok(job)]).await;
            assert!(bulk.iter().all(Result::is_err), "{name}, {attempt}: {bulk:?}");
        }
    }
    drop(primary);
    replica.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    assert_eq!(replica.command(&["EXISTS", &space.key("q", "due")]).unwrap(), "0", "it had none");
}

/// The script of the delayed job is missing: the plain job beside it must not be sent again.
#[tokio::test]
async fn a_durable_bulk_sends_only_what_was_not_executed_again() {
    let server = Server::builder().aof(Fsync::EverySec).start().unwrap();
    let space = Space::on(server.url(), "noscript");
    if server.command(&["WAITAOF", "0", "0", "1"]).is_err() {
        return;
    }
    let hour = Duration::from_secs(3600);
    let disk = Durability::fsynced();
    space.client.enqueue(Number(0)).after(hour).durability(disk).await.unwrap();
    for round in 1..4 {
        server.command(&["SCRIPT", "FLUSH"]).unwrap();
        let job = |number| space.client.enqueue(Number(number)).durability(disk);
        let jobs = vec![
            job(1).prepare(),
            job(2).after(hour).prepare(),
            job(3).id(format!("named {round}")).prepare(),
        ];
        let stored = space.client.enqueue_prepared(jobs).await;
        assert!(stored.iter().all(Result::is_ok), "{stored:?}");
        assert_eq!((space.ready("q").await, space.due("q").await), (round * 2, round + 1));
    }
}
