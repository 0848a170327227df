//! Connections that do not open, end while they are idle, belong to a runtime that is gone, or are
//! shared with a request that the server does not take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use poolder::prelude::*;
use poolder::{Config, Durability};
use poolder_devserver::{Cluster, Server};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::harness::{Number, Space, eventually, start, within};

fn server() -> Server {
    Server::start().unwrap_or_else(|error| panic!("{error}"))
}

/// Accepts connections and never answers. Returns the address, and the number of connections.
async fn silent() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        let mut open = vec![];
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            open.push(stream);
        }
    });
    (url, accepted)
}

#[tokio::test]
async fn callers_share_one_attempt_to_connect_and_the_next_ones_fail_without_another() {
    for connect in [Duration::from_millis(200), Duration::from_secs(60)] {
        let (url, accepted) = silent().await;
        let limit = Duration::from_millis(500);
        let config = Config::new(url).connect_timeout(connect).response_timeout(limit);
        let client = Client::new(config).unwrap();
        let hour = Duration::from_secs(3600);
        let plain = (0..12).map(|number| client.enqueue(Number(number)).into_future());
        let named = (0..12).map(|number| {
            client.enqueue(Number(number)).id(number.to_string()).idempotent(hour).into_future()
        });
        let durable = (0..12).map(|number| {
            client.enqueue(Number(number)).durability(Durability::replicated(1)).into_future()
        });
        let started = Instant::now();
        for result in join_all(plain.chain(named)).await {
            let error = result.unwrap_err();
            assert!(error.is_refused(), "nothing was sent: {error}");
        }
        // As many attempts one after the other would take 24 times as long.
        assert!(started.elapsed() < limit * 6, "{:?}", started.elapsed());
        assert_eq!(accepted.load(Ordering::Relaxed), 1);
        assert!(client.enqueue(Number(0)).await.unwrap_err().is_refused());
        for result in join_all(durable).await {
            assert!(result.unwrap_err().is_refused());
        }
        assert_eq!(accepted.load(Ordering::Relaxed), 1, "the server is known to be down");
    }
}

#[tokio::test]
async fn a_call_is_over_after_its_timeout_also_while_it_is_enqueued() {
    let (url, _) = silent().await;
    let client = Client::new(Config::new(url).response_timeout(Duration::from_secs(60))).unwrap();
    let call = client.call::<_, u64>(Number(1)).timeout(Duration::from_millis(50));
    let error = within(call.into_future()).await.unwrap_err();
    assert!(error.is_timeout() && error.job_id().is_some(), "{error}");
    let pool = client.pool::<Number>("pool");
    let call = pool.call::<u64>(Number(1)).timeout(Duration::from_millis(50));
    assert!(within(call.into_future()).await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_connection_that_has_ended_is_replaced_before_it_is_used() {
    let server = server();
    let space = Space::on(server.url(), "ended");
    let client = &space.client;
    for number in 0..20 {
        client.enqueue(Number(number)).await.unwrap();
        client.enqueue(Number(number)).after(Duration::from_secs(60)).await.unwrap();
        assert_eq!(space.overview("q").await.ready(), number + 1);
        server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).unwrap();
        // The server closes the connections when it has sent its reply.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_without_an_answer_is_replaced() {
    let server = Server::builder().tcp().start().unwrap_or_else(|error| panic!("{error}"));
    let port = server.port().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (cut, forgotten) = tokio::sync::watch::channel(false);
    // A router that forgets a connection: it neither closes it nor forwards anything.
    tokio::spawn(async move {
        let mut first = true;
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let mut forgotten = forgotten.clone();
            let forgets = std::mem::replace(&mut first, false);
            tokio::spawn(async move {
                let is_forgotten = async {
                    if !forgets || forgotten.wait_for(|cut| *cut).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    () = is_forgotten => std::future::pending().await,
                }
            });
        }
    });
    let space = Space::on(url, "forgotten");
    space.client.enqueue(Number(1)).await.unwrap();
    cut.send_replace(true);
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    space.client.enqueue(Number(2)).await.unwrap();
    assert_eq!(space.overview("q").await.ready(), 2);
}

#[test]
fn a_client_serves_several_runtimes_in_turn_and_after_each_other() {
    let server = server();
    let space = Space::on(server.url(), "runtimes");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A runtime that is alive does nothing between two calls of `block_on`.
    let (a, b) = (runtime(), tokio::runtime::Runtime::new().unwrap());
    let mut stored = 0;
    for _ in 0..4 {
        let c = runtime();
        for one in [&a, &b, &c] {
            one.block_on(within(async {
                space.client.enqueue(Number(1)).await.unwrap();
                space.client.enqueue(Number(1)).after(Duration::from_secs(60)).await.unwrap();
                stored += 1;
                assert_eq!(space.overview("q").await.ready(), stored);
            }));
        }
    }
    // The connections of the runtimes that have ended are closed.
    let connections = || {
        let list = server.command(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap();
        list.lines().filter(|line| line.contains("lib-name=poolder")).count()
    };
    a.block_on(eventually("old connections are closed", || async { connections() <= 4 }));
}

#[derive(Serialize, Deserialize)]
struct Text(String);

impl Job for Text {
    const KINDS: &'static [&'static str] = &["text"];
    const QUEUE: &'static str = "q";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_above_the_servers_limit_is_refused_beside_others_that_are_stored() {
    let server = server();
    server.command(&["CONFIG", "SET", "proto-max-bulk-len", "1048576"]).unwrap();
    let space = Space::on(server.url(), "large");
    let client = &space.client;
    let large = || Text("x".repeat(1_048_560));
    let is_too_large = |result: Result<poolder::Receipt, poolder::Error>| {
        let error = result.unwrap_err();
        assert!(error.is_too_large(), "{error}");
    };
    let small = (0..200).map(|number| async move {
        tokio::time::sleep(Duration::from_micros(number * 20)).await;
        client.enqueue(Number(number)).await
    });
    let (refused, later, bulk, stored) = tokio::join!(
        client.enqueue(large()).into_future(),
        client.enqueue(large()).after(Duration::from_secs(60)).into_future(),
        client.enqueue_many([large()]),
        join_all(small),
    );
    is_too_large(refused);
    is_too_large(later);
    bulk.into_iter().for_each(is_too_large);
    for result in stored {
        result.unwrap();
    }
    assert_eq!(space.overview("q").await.ready(), 200);
    // One that is large for a shared connection only is stored.
    client.enqueue(Text("x".repeat(1_000_000))).await.unwrap();
    assert_eq!(space.overview("q").await.ready(), 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_get_their_results_while_no_new_connection_opens() {
    let server = server();
    let space = Space::on(server.url(), "full");
    let worker = worker_fn(|Number(number): Number, _: Context| async move {
        Ok::<_, BoxError>(Outcome::result(&(number + 1))?)
    });
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    let client = Client::new(Config::new(server.url()).namespace(space.name())).unwrap();
    client.enqueue(Number(0)).await.unwrap();
    space.until_count("q", "completed", 1).await;
    server.command(&["CONFIG", "SET", "maxclients", "1"]).unwrap();
    let calls = (0..20).map(|number| client.call::<_, u64>(Number(number)).into_future());
    for (number, result) in (0..).zip(within(join_all(calls)).await) {
        assert_eq!(result.unwrap(), number + 1);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_give_up_leave_no_subscription_while_another_waits() {
    let server = server();
    let space = Space::on(server.url(), "subscriptions");
    let client = &space.client;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call::<_, u64>(Number(0)).timeout(Duration::MAX).await }
    });
    let channels = || {
        let list = server.command(&["PUBSUB", "CHANNELS", "*result*"]).unwrap();
        list.lines().filter(|line| !line.is_empty()).count()
    };
    eventually("the caller is subscribed", || async { channels() == 1 }).await;
    let calls = (0..300).map(|number| {
        let call = client.call::<_, u64>(Number(number)).into_future();
        tokio::time::timeout(Duration::from_micros(200 + number * 20), call)
    });
    join_all(calls).await;
    eventually("only the caller that waits is subscribed", || async { channels() == 1 }).await;
    waiting.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_that_hangs_stops_only_its_own_queues() {
    let cluster = Cluster::start(3, 0).unwrap_or_else(|error| panic!("{error}"));
    for node in cluster.nodes() {
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]).unwrap();
    }
    let space = Space::on(cluster.url(), "hang");
    let client = &space.client;
    let queues: Vec<String> = (0..12).map(|number| format!("q{number}")).collect();
    for queue in &queues {
        client.enqueue(Number(0)).queue(queue).await.unwrap();
    }
    let hung = cluster.nodes().first().unwrap();
    let is_hung = |queue: &str| {
        let slot = cluster.slot_of(&space.key(queue, "due")).unwrap();
        cluster.owner(slot).unwrap().port() == hung.port()
    };
    let (lost, alive): (Vec<_>, Vec<_>) = queues.iter().partition(|queue| is_hung(queue));
    assert!(!lost.is_empty() && !alive.is_empty());
    hung.pause().unwrap();
    for round in 0..3 {
        let calls =
            lost.iter().map(|queue| client.enqueue(Number(round)).queue(*queue).into_future());
        let mut errors = std::pin::pin!(join_all(calls));
        // A new client asks the servers for the slots, and the first of them hangs.
        let new = Client::new(Config::new(cluster.url()).namespace(space.name())).unwrap();
        let served = async {
            for queue in &alive {
                client.enqueue(Number(round)).queue(*queue).await.unwrap();
                new.enqueue(Number(round)).queue(*queue).await.unwrap();
            }
        };
        tokio::select! {
            _ = &mut errors => panic!("the healthy servers were waited for"),
            () = served => {}
        }
        errors.await.into_iter().for_each(|result| drop(result.unwrap_err()));
    }
    hung.resume().unwrap();
    eventually("all queues are served again", || async {
        client.enqueue(Number(9)).queue(lost[0]).await.is_ok()
    })
    .await;
}
