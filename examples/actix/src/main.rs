//! The web service of `examples/web`, with Actix in place of axum: the same job, the same routes, the
//! same answers. Workers of either run the jobs of both.
//!
//! - `actix` serves `POST /users` on `LISTEN` (default 127.0.0.1:3000) and only enqueues; `GET
//!   /jobs/{id}` tells where a job is, and `GET /ready` answers 200 while Redis does;
//! - `actix worker` runs the jobs, in any number of processes;
//! - `actix try` does both in one process, sends itself requests, and checks the answers.

mod handlers;
#[path = "../../web/src/jobs.rs"]
mod jobs;

use std::net::SocketAddr;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use poolder::prelude::*;
use poolder::{Config, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<()> {
    // Connects on first use, so that the server starts also while Redis is away.
    let client = Client::lazy_from_env()?;
    match std::env::args().nth(1).as_deref() {
        None => {
            let listen = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
            println!("POST http://{listen}/users with {{\"name\": \"Ada\"}}");
            // It stops on SIGTERM by itself, once the requests that it has are answered.
            serve(client, &listen)?.0.await?;
        }
        Some("worker") => Node::builder(client).pool(jobs::pool(None)).run().await?,
        Some("try") => try_it(client).await?,
        Some(other) => return Err(format!("unknown: {other}; use nothing, worker or try").into()),
    }
    Ok(())
}

/// Starts the server on an address. Returns it with the address that it has got.
fn serve(client: Client, listen: &str) -> Result<(Server, SocketAddr)> {
    let app = move || App::new().app_data(Data::new(client.clone())).configure(handlers::routes);
    let server = HttpServer::new(app).workers(2).bind(listen)?;
    let address = *server.addrs().first().ok_or("the server has no address")?;
    Ok((server.run(), address))
}

/// Serves in the background.
fn start(client: Client) -> Result<(ServerHandle, SocketAddr)> {
    let (server, address) = serve(client, "127.0.0.1:0")?;
    let handle = server.handle();
    tokio::spawn(server);
    Ok((handle, address))
}

/// Runs server and worker in this process, and sends requests: a user, the same user again, the
/// question where the job is, and a user while Redis is away.
async fn try_it(client: Client) -> Result<()> {
    let (server, address) = start(client.clone())?;
    let user = r#"{"name": "Grace"}"#;
    let accepted = send(address, "POST", "/users", user, "202").await?;
    send(address, "POST", "/users", user, "409").await?;
    send(address, "GET", "/ready", "", "200").await?;
    send(address, "GET", "/jobs/none", "", "404").await?;
    let place = accepted.lines().find_map(|line| line.strip_prefix("location: "));
    let place = place.ok_or("the answer has no location")?.trim().to_owned();

    let (tell, mut told) = mpsc::channel(1);
    let greeted = async move {
        told.recv().await;
    };
    Node::builder(client).pool(jobs::pool(Some(tell))).run_until(greeted).await?;
    let ended = send(address, "GET", &place, "", "200").await?;
    if !ended.contains(r#""state":"completed""#) {
        return Err("the job has not ended".into());
    }
    server.stop(true).await;

    let (server, address) = start(Client::new(Config::new("redis://127.0.0.1:1"))?)?;
    let refused = send(address, "POST", "/users", user, "503").await?;
    if !refused.contains("retry-after: 1") {
        return Err("a refused request is told when to come again".into());
    }
    server.stop(true).await;
    Ok(())
}

/// Sends a request, prints the answer as it came, and checks its status.
async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    status: &str,
) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    println!("{method} {path}\n{answer}\n");
    match answer.split_whitespace().nth(1) == Some(status) {
        true => Ok(answer),
        false => Err(format!("{method} {path} must be answered with {status}").into()),
    }
}
