//! Links whose round trip takes half of the time limit of a reply. To find the server and to open a
//! connection takes several round trips, and more than the limit.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use poolder::prelude::*;
use poolder::{Config, Durability};
use poolder_devserver::{Cluster, Sentinel, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, start, within};

/// The time limit of a reply.
const REPLY: Duration = Duration::from_millis(900);
/// The delay in each direction.
const DELAY: Duration = Duration::from_millis(250);

/// Forwards connections to a port of this machine, and all bytes after [`DELAY`]. Returns the
/// address, and the number of connections.
async fn slow(to: u16) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            tokio::spawn(forward(from_near, to_far));
            tokio::spawn(forward(from_far, to_near));
        }
    });
    (address, accepted)
}

async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin + Send + 'static,
) {
    let (sender, mut late) = mpsc::channel::<(tokio::time::Instant, Vec<u8>)>(64);
    tokio::spawn(async move {
        while let Some((at, bytes)) = late.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let at = tokio::time::Instant::now() + DELAY;
        if sender.send((at, bytes[..read].to_vec())).await.is_err() {
            return;
        }
    }
}

fn client(url: String, space: &Space) -> Client {
    Client::new(Config::new(url).namespace(space.name()).response_timeout(REPLY)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_operation_of_a_client_is_answered_though_a_connection_takes_longer_to_open() {
    let server = Server::builder().tcp().start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "slow-first");
    let worker = worker_fn(|Number(number): Number, _: Context| async move { Return(number + 1) });
    let node = start(space.node().pool(Pool::new("calls").size(4).worker(worker)));
    let (address, accepted) = slow(server.port().unwrap()).await;
    let new = || client(format!("redis://{address}"), &space);
    let (plain, named, durable, bulk, caller, reader) = (new(), new(), new(), new(), new(), new());
    let hour = Duration::from_secs(3600);
    let (one, two, three, many, answer, view) = tokio::join!(
        plain.enqueue(Number(1)).into_future(),
        named.enqueue(Number(2)).id("two").idempotent(hour).into_future(),
        durable.enqueue(Number(3)).durability(Durability::fsynced()).into_future(),
        bulk.enqueue_many((4..8).map(Number)),
        caller.call::<_, u64>(Number(8)).queue("calls").into_future(),
        async { reader.inspect("q").overview().await },
    );
    one.unwrap();
    two.unwrap();
    // The server has no append-only file, which is known after three round trips.
    assert!(three.unwrap_err().is_unsupported());
    many.into_iter().for_each(|one| drop(one.unwrap()));
    assert_eq!(answer.unwrap(), 9);
    view.unwrap();
    // Loading scripts that are missing takes two more round trips.
    server.command(&["SCRIPT", "FLUSH"]).unwrap();
    named.enqueue(Number(9)).after(hour).await.unwrap();
    node.stop().await;
    // An idle connection is asked for an answer for longer than the round trip takes, before
    // another is opened beside it.
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    let before = accepted.load(Ordering::Relaxed);
    plain.enqueue(Number(10)).await.unwrap();
    assert_eq!(accepted.load(Ordering::Relaxed), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_found_though_the_lookup_takes_longer_than_a_reply_may() {
    let cluster = Cluster::start(3, 0).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(cluster.url(), "slow-cluster");
    let (seed, _) = slow(cluster.nodes()[0].port().unwrap()).await;
    client(format!("redis+cluster://{seed}"), &space).enqueue(Number(1)).await.unwrap();

    let servers = Sentinel::start(1).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(servers.url(), "slow-sentinel");
    let url = servers.url();
    let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()).unwrap();
    let (seed, _) = slow(port.parse().unwrap()).await;
    let service = url.rsplit('/').next().unwrap();
    let far = client(format!("redis+sentinel://{seed}/{service}"), &space);
    far.enqueue(Number(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_no_more_while_a_connection_opens_fails_all_callers_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = vec![];
        while let Ok((mut stream, _)) = listener.accept().await {
            // The introduction has two commands, and is answered at once; the `PING` is not.
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(b"+OK\r\n+OK\r\n").await.unwrap();
            open.push(stream);
        }
    });
    let client = Client::new(Config::new(url).response_timeout(REPLY)).unwrap();
    let started = Instant::now();
    let calls = (0..12).map(|number| client.enqueue(Number(number)).into_future());
    for result in within(join_all(calls)).await {
        let error = result.unwrap_err();
        assert!(error.is_refused(), "nothing was sent: {error}");
    }
    assert!(started.elapsed() < REPLY * 2, "{:?}", started.elapsed());
    assert!(client.enqueue(Number(0)).await.unwrap_err().is_refused());
}
