//! A web service that answers at once and leaves the work to worker processes.
//!
//! - `web` serves `POST /users` on `LISTEN` (default 127.0.0.1:3000) and only enqueues; `GET
//!   /jobs/{id}` tells where a job is, and `GET /ready` answers 200 while Redis does;
//! - `web worker` runs the jobs, in any number of processes; each answers probes on `HEALTH`, such as
//!   0.0.0.0:9636, if it is set;
//! - `web try` does both in one process, sends itself a request, and ends.

mod handlers;
mod jobs;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use poolder::Result;
use poolder::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("POOLDER_LOG"))
        .init();
    // Connects on first use, so that the server starts also while Redis is away.
    let client = Client::lazy_from_env()?;
    match std::env::args().nth(1).as_deref() {
        None => {
            let listen = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
            let listener = TcpListener::bind(&listen).await?;
            println!("POST http://{listen}/users with {{\"name\": \"Ada\"}}");
            axum::serve(listener, handlers::router(client))
                .with_graceful_shutdown(async {
                    let _ = tokio::signal::ctrl_c().await;
                })
                .await?;
        }
        Some("worker") => {
            let node = Node::builder(client).pool(jobs::pool(None));
            match std::env::var("HEALTH") {
                Ok(address) => node.listen(address).run().await?,
                Err(_) => node.run().await?,
            }
        }
        Some("try") => try_it(client).await?,
        Some(other) => return Err(format!("unknown: {other}; use nothing, worker or try").into()),
    }
    Ok(())
}

/// Runs server and worker in this process, and sends requests: a user, the same user again, and the
/// question where the job is.
async fn try_it(client: Client) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn({
        let router = handlers::router(client.clone());
        async move { axum::serve(listener, router).await }
    });
    let user = r#"{"name": "Ada"}"#;
    let accepted = send(address, "POST", "/users", user).await?;
    println!("{accepted}");
    let again = send(address, "POST", "/users", user).await?;
    println!("{again}");
    let place = accepted.lines().find_map(|line| line.strip_prefix("location: "));
    let place = place.ok_or("the answer has no location")?.trim().to_owned();

    let (tell, mut told) = mpsc::channel(1);
    let greeted = async move {
        told.recv().await;
    };
    Node::builder(client).pool(jobs::pool(Some(tell))).run_until(greeted).await?;
    println!("{}", send(address, "GET", &place, "").await?);
    server.abort();
    Ok(())
}

/// Sends a request, and returns the answer as it came.
async fn send(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
