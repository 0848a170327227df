//! Encrypted connections, if the server program was built with TLS.

use std::path::Path;
use std::process::Command;

use poolder::Config;
use poolder::prelude::*;
use poolder_devserver::Server;

use crate::harness::{Number, Space, start, teller, within};

/// Makes a self-signed certificate for 127.0.0.1. Returns false without `openssl`.
fn certificate(dir: &Path) -> bool {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"])
        .args(["/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(dir)
        .output();
    made.is_ok_and(|made| made.status.success())
}

#[tokio::test]
async fn a_job_walks_over_an_encrypted_connection() {
    let plain = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let dir = plain.dir().to_owned();
    assert!(certificate(&dir), "openssl is needed to test the feature tls");
    let file = |name: &str| dir.join(name).display().to_string();
    let mut server = None;
    for _ in 0..5 {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tls = Server::builder()
            .arg("tls-port", free.to_string())
            .arg("tls-cert-file", file("cert.pem"))
            .arg("tls-key-file", file("key.pem"))
            .arg("tls-ca-cert-file", file("cert.pem"))
            .arg("tls-auth-clients", "no")
            .start();
        if let Ok(tls) = tls {
            server = Some((tls, free));
            break;
        }
    }
    let Some((_server, port)) = server else {
        // Not every server program is built with TLS: `cargo xtask compat` names one that is.
        eprintln!("skipped: this server program was built without TLS");
        return;
    };
    let pem = std::fs::read(dir.join("cert.pem")).unwrap();
    let url = format!("rediss://127.0.0.1:{port}/");
    let name = poolder_devserver::namespace("tls");
    let client = Client::new(Config::new(&url).namespace(&name).trust(pem)).unwrap();
    client.enqueue(Number(1)).await.unwrap();
    let (worker, mut told) = teller();
    let node = start(Node::builder(client).pool(Pool::new("q").size(1).worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap().0, 1);
    node.stop().await;

    let stranger = Space::on(url, "tls-stranger");
    let error = stranger.client.enqueue(Number(1)).await.unwrap_err();
    assert!(
        error.to_string().contains("certificate"),
        "an unknown certificate is refused: {error}"
    );
}
