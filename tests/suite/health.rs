//! The listener of a node: its probes, its state, and the requests that it refuses.

use std::net::SocketAddr;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{NodeHandle, NodePhase};
use poolder_devserver::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::child::{BLOCKING, Process, SLOW};
use crate::harness::{Number, Space, eventually, start, teller, within};

/// Sends bytes, and returns the whole answer.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request).await?;
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    within(asking).await.unwrap_or_else(|error| format!("no answer: {error}"))
}

/// Returns the status and the body of a path.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n");
    let answer = exchange(address, request.as_bytes()).await;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or(&*answer, |(_, body)| body);
    (status, body.to_owned())
}

/// Waits until the node listens, and returns the address.
async fn address(handle: &NodeHandle) -> SocketAddr {
    eventually("the node listens", || async { handle.status().listens.is_some() }).await;
    handle.status().listens.unwrap()
}

#[tokio::test]
async fn a_running_node_answers_probes_and_shows_its_state() {
    let space = Space::new("health");
    let (worker, _told) = teller();
    let pool = Pool::new("q").size(3).worker(worker);
    let mut builder = space.node().listen("127.0.0.1:0").deploy("v7").pool(pool);
    let handle = builder.handle();
    assert_eq!(handle.status().phase, NodePhase::Built);
    let node = start(builder);
    let address = address(&handle).await;
    eventually("it is ready", || async { get(address, "/readyz").await.0 == 200 }).await;
    eventually("it is described", || async {
        space.client.nodes().await.unwrap().first().is_some_and(|node| node.info.is_some())
    })
    .await;
    assert_eq!(get(address, "/livez?verbose").await, (200, "ok\n".into()));
    assert!(handle.health().ready && handle.health().live);
    let (status, text) = get(address, "/statusz").await;
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 200);
    assert_eq!((&shown["phase"], &shown["health"]["ready"]), (&"running".into(), &true.into()));
    assert_eq!(shown["pid"], std::process::id());
    assert_eq!(shown["listens"], address.to_string());
    let pool = serde_json::json!({
        "queue": "q", "mode": "shared", "size": 3, "running": true, "slots": 3, "busy": 0
    });
    assert_eq!(shown["pools"], serde_json::json!([pool]));
    let known = space.client.nodes().await.unwrap().remove(0);
    assert_eq!(shown["node"], known.name);
    assert_eq!((&shown["deploy"], known.info.unwrap().deploy), (&"v7".into(), "v7".into()));

    handle.resize("q", 5).await.unwrap();
    handle.stop("q").await.unwrap();
    let pools = handle.status().pools;
    assert_eq!((pools[0].size, pools[0].running), (5, false));
    assert_eq!(handle.pools().await.unwrap(), pools);
    node.stop().await;
    let ended = handle.status();
    assert_eq!(
        (ended.phase, ended.health.live, ended.health.ready),
        (NodePhase::Ended, false, false)
    );
    TcpListener::bind(address).await.expect("the port is free once the node has ended");
}

#[tokio::test]
async fn requests_that_are_no_probes_are_refused_and_change_nothing() {
    let space = Space::new("refusals");
    let (worker, _told) = teller();
    let mut builder = space.node().listen("127.0.0.1:0").pool(Pool::new("q").worker(worker));
    let handle = builder.handle();
    let node = start(builder);
    let address = address(&handle).await;
    let long = [&b"GET /"[..], &vec![b'a'; 100_000], b" HTTP/1.1\r\n\r\n"].concat();
    let fields = [&b"GET /livez HTTP/1.1\r\nA: "[..], &vec![b'a'; 100_000]].concat();
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "404"),
        (b"GET /livez/../statusz HTTP/1.1\r\n\r\n", "404"),
        (b"POST /livez HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "405"),
        (b"DELETE /statusz HTTP/1.1\r\n\r\n", "405"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),
        (b"\0\xff\xfe\n\n", "400"),
        (b"*3\r\n$3\r\nSET\r\n", "400"),
        (&long, "414"),
        (&fields, "431"),
        (b"GET /livez HTTP/1.1\r\nslow: ", "408"),
    ] {
        let answer = exchange(address, request).await;
        let about = String::from_utf8_lossy(&request[..request.len().min(40)]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{about:?}: {answer}");
    }
    let head = exchange(address, b"HEAD /statusz HTTP/1.1\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    // Clients that send nothing, more than are served at a time, keep no probe waiting.
    let mut idle = vec![];
    for _ in 0..200 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(get(address, "/livez").await.0, 200);
    node.stop().await;
}

#[tokio::test]
async fn a_node_does_not_start_on_an_address_in_use() {
    let space = Space::new("in_use");
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (worker, _told) = teller();
    let node = space.node().listen(&address).pool(Pool::new("q").worker(worker));
    let error = within(node.run_until(std::future::pending())).await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
    assert!(error.to_string().contains(&format!("cannot listen on {address}: ")), "{error}");
    assert!(space.client.nodes().await.unwrap().is_empty(), "it has not joined");
}

#[tokio::test]
async fn a_node_without_its_server_is_live_and_not_ready() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "away");
    server.pause().unwrap();
    let (worker, _told) = teller();
    let mut builder = space.node().listen("127.0.0.1:0").pool(Pool::new("q").worker(worker));
    let handle = builder.handle();
    let node = start(builder);
    let address = address(&handle).await;
    let (status, reason) = get(address, "/readyz").await;
    assert!(status == 503 && reason.contains("waits for Redis"), "{status} {reason}");
    assert_eq!(get(address, "/livez").await.0, 200);
    server.resume().unwrap();
    eventually("it is ready", || async { get(address, "/readyz").await.0 == 200 }).await;
    server.pause().unwrap();
    eventually("it is not ready", || async {
        let (status, reason) = get(address, "/readyz").await;
        status == 503 && reason.contains("acknowledged no heartbeat for ")
    })
    .await;
    assert_eq!(get(address, "/livez").await.0, 200);
    server.resume().unwrap();
    eventually("it is ready again", || async { get(address, "/readyz").await.0 == 200 }).await;
    node.stop().await;
}

#[tokio::test]
async fn a_node_whose_future_is_dropped_has_ended() {
    let space = Space::new("dropped");
    let (worker, _told) = teller();
    let mut builder = space.node().listen("127.0.0.1:0").pool(Pool::new("q").worker(worker));
    let handle = builder.handle();
    let (stop, stopped) = oneshot::channel::<()>();
    let node = tokio::spawn(async move {
        tokio::select! {
            _ = builder.run() => {}
            _ = stopped => {}
        }
    });
    let address = address(&handle).await;
    stop.send(()).unwrap();
    within(node).await.unwrap();
    assert_eq!(handle.status().phase, NodePhase::Ended);
    eventually("the port is free", || async { TcpListener::bind(address).await.is_ok() }).await;
}

/// The process runs a job of three seconds when it gets its signal.
#[tokio::test]
async fn readiness_falls_while_a_process_drains() {
    let space = Space::new("draining");
    let stop = Duration::from_secs(20);
    let mut child = Process::listening(&space, 1, stop);
    let address = child.address().await;
    eventually("it is ready", || async { get(address, "/readyz").await.0 == 200 }).await;
    space.client.enqueue(Number(SLOW)).await.unwrap();
    assert_eq!(child.next().await.map(|started| started.number), Some(SLOW));
    eventually("its slot is busy", || async {
        get(address, "/statusz").await.1.contains("\"busy\": 1")
    })
    .await;
    child.signal("TERM").await;
    eventually("it is not ready", || async { get(address, "/readyz").await.0 != 200 }).await;
    let (status, reason) = get(address, "/readyz").await;
    assert!(status == 503 && reason.contains("the node stops"), "{status} {reason}");
    assert_eq!(get(address, "/livez").await.0, 200, "its running job may finish");
    assert!(child.ended().await);
    assert_eq!(space.count("q", "completed").await, 1);
}

/// A handler that blocks all threads of the runtime for its time is no reason for a restart.
#[tokio::test]
async fn a_process_whose_threads_are_blocked_answers() {
    let space = Space::new("blocked");
    let mut child = Process::listening(&space, 1, Duration::from_secs(1));
    let address = child.address().await;
    space.client.enqueue(Number(BLOCKING)).await.unwrap();
    assert!(child.next().await.is_some());
    assert_eq!(get(address, "/livez").await.0, 200);
    assert_eq!(get(address, "/readyz").await.0, 200);
    child.signal("KILL").await;
}
