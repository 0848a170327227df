//! A shop: a web server that only enqueues, workers that charge and ship, a nightly report, and
//! visits that are written in batches. `src/tests.rs` tests it without a server, as an application
//! tests itself.
//!
//! - `shop` serves on `LISTEN` (default 127.0.0.1:3000): `POST /orders`, `GET /items/{item}`;
//! - `shop worker` runs the jobs, in any number of processes;
//! - `shop try` does both in one process, sends itself requests, and ends.

mod jobs;
mod store;
#[cfg(test)]
mod tests;
mod web;

use poolder::Result;
use poolder::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::store::Store;

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("POOLDER_LOG"))
        .init();
    let client = Client::lazy_from_env()?;
    match std::env::args().nth(1).as_deref() {
        None => {
            let listen = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
            println!("POST http://{listen}/orders with {{\"item\": \"tea\", \"cents\": 450}}");
            axum::serve(TcpListener::bind(&listen).await?, web::router(client))
                .with_graceful_shutdown(async {
                    let _ = tokio::signal::ctrl_c().await;
                })
                .await?;
        }
        Some("worker") => jobs::node(Node::builder(client), Store::default()).run().await?,
        Some("try") => try_it(client).await?,
        Some(other) => return Err(format!("unknown: {other}; use nothing, worker or try").into()),
    }
    Ok(())
}

/// Runs server and workers in this process, and sends some requests.
async fn try_it(client: Client) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = web::router(client.clone());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let store = Store::default();
    let seen = store.clone();
    let shipped = async move {
        while seen.shipped().is_empty() || seen.visits() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let node = tokio::spawn(jobs::node(Node::builder(client), store.clone()).run_until(shipped));
    let body = r#"{"item": "tea", "cents": 450}"#;
    let length = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    let order = request(address, "POST /orders", &length, body).await?;
    println!("{order}");
    // The batcher is declared once its first node has started.
    while store.visits() < 2 {
        request(address, "GET /items/tea", "", "").await?;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    node.await??;
    println!("shipped {:?}, counted {} visits", store.shipped(), store.visits());
    server.abort();
    Ok(())
}

/// Sends a request, and returns the last line of the answer.
async fn request(
    to: std::net::SocketAddr,
    what: &str,
    headers: &str,
    body: &str,
) -> Result<String> {
    let mut stream = TcpStream::connect(to).await?;
    let head = format!("{what} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all((head + body).as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().last().unwrap_or_default().to_owned())
}
