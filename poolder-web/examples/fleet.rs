//! A fleet to look at: nodes of two deploys, jobs that wait, run, fail, are put off and die, and the
//! dashboard beside it, nested in an application.
//!
//! `cargo xtask redis -- cargo run -p poolder-web --example fleet`, then open the address that it
//! prints.

use std::time::Duration;

use axum::Router;
use poolder::prelude::*;
use poolder::{Backoff, Config};
use poolder_web::{Access, Dashboard};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Debug, Job)]
#[job(kind = "email.welcome", queue = "mail")]
struct Welcome {
    user: u64,
    to: String,
    template: String,
}

#[derive(Serialize, Deserialize, Debug, Job)]
#[job(kind = "thumbnail.make", queue = "thumbs")]
struct Thumbnail {
    picture: u64,
}

#[derive(Serialize, Deserialize, Debug, Job)]
#[job(kind = "report.export", queue = "reports")]
struct Export {
    month: String,
}

async fn welcome(job: Welcome) -> Result<(), String> {
    tokio::time::sleep(Duration::from_millis(20 + job.user % 60)).await;
    match job.user % 40 {
        0..2 => Err(format!("SMTP 451 mailbox {} is temporarily unavailable", job.user)),
        2 => Err("connection to smtp-2 was reset".into()),
        _ => Ok(()),
    }
}

async fn thumbnail(job: Thumbnail) -> Result<(), String> {
    tokio::time::sleep(Duration::from_millis(5 + job.picture % 10)).await;
    if job.picture.is_multiple_of(500) { Err("the picture has no pixels".into()) } else { Ok(()) }
}

async fn export(_: Export) -> Result<(), String> {
    tokio::time::sleep(Duration::from_secs(20)).await;
    Ok(())
}

fn node(client: &Client, deploy: &str) -> poolder::NodeBuilder {
    Node::builder(client.clone())
        .deploy(deploy)
        .pool(Pool::new("mail").size(8).worker(worker_fn(welcome)))
        .pool(Pool::new("thumbs").size(4).worker(worker_fn(thumbnail)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(Config::from_env().namespace("shop"))?;
    client.ping().await?;
    for deploy in ["v2.13.9", "v2.14.0"] {
        tokio::spawn(node(&client, deploy).run());
    }
    let reports = Pool::new("reports").size(2).worker(worker_fn(export));
    tokio::spawn(Node::builder(client.clone()).deploy("v2.14.0").pool(reports).run());
    tokio::spawn(send(client.clone()));

    let dashboard = Dashboard::new(client).authorize(|_, _| Access::Admin);
    let app: Router = Router::new().nest("/jobs", dashboard.router());
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}/jobs", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Sends jobs of all kinds until the process ends.
async fn send(client: Client) -> Result<(), poolder::Error> {
    let policy = Policy::default().attempts(4).backoff(Backoff::Fixed(Duration::from_secs(20)));
    for month in ["2026-09", "2026-10", "2026-11"] {
        client.enqueue(Export { month: month.into() }).await?;
    }
    for user in 0.. {
        let (to, template) = (format!("user{user}@example.org"), "welcome-v3".into());
        client.enqueue(Welcome { user, to, template }).policy(policy.clone()).await?;
        client.enqueue(Thumbnail { picture: user }).await?;
        if user.is_multiple_of(50) {
            let later = Welcome { user, to: "later@example.org".into(), template: "digest".into() };
            client.enqueue(later).after(Duration::from_secs(600)).await?;
            let month = format!("1999-{}", user / 50);
            client.enqueue(Export { month }).lane(Lane::Low).await?;
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    Ok(())
}
