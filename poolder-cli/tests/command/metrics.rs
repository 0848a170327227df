//! The command `metrics`: once, and on an address.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use poolder::Job;
use serde::{Deserialize, Serialize};

use crate::program::Program;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "mail.welcome", queue = "mail")]
struct Welcome;

/// Returns the status line and the body of a path.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn metrics_are_written_once() {
    let program = Program::new("cli-metrics");
    let client = program.client();
    client.enqueue(Welcome).await.unwrap();
    client.enqueue(Welcome).await.unwrap();
    client.pause("mail").await.unwrap();
    let namespace = client.broker().namespace().to_owned();
    let text = program.ok(&["metrics"]);
    let line = format!(
        "poolder_queue_jobs{{namespace=\"{namespace}\",queue=\"mail\",state=\"ready\",lane=\"normal\"}} 2"
    );
    assert!(text.lines().any(|written| written == line), "{line}\n{text}");
    let line = format!("poolder_queue_paused{{namespace=\"{namespace}\",queue=\"mail\"}} 1");
    assert!(text.lines().any(|written| written == line), "{line}\n{text}");
    // As JSON it is one string, as all texts for other programs are.
    assert!(program.json(&["metrics"]).as_str().unwrap().contains("poolder_nodes{"));
    program.fails(2, &["metrics", "--listen", "nonsense"]);
}

#[cfg(unix)]
#[tokio::test]
async fn metrics_are_served_until_the_process_is_told_to_stop() {
    let program = Program::new("cli-metrics-listen");
    let client = program.client();
    client.enqueue(Welcome).await.unwrap();
    let mut command = program.command(&["metrics", "--listen", "127.0.0.1:0"]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("serving http://").unwrap();
    let address = address.strip_suffix("/metrics").unwrap();

    let (status, text) = get(address, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(text.contains("poolder_exporter_last_success_timestamp_seconds{"), "{text}");
    assert_eq!(get(address, "/livez").1, "ok\n");
    assert_eq!(get(address, "/readyz").1, "ok\n");
    let load: serde_json::Value = serde_json::from_str(&get(address, "/autoscale/mail").1).unwrap();
    // No node has started yet: the first worker is wanted.
    assert_eq!(
        (&load["waiting"], &load["slots"], &load["slots_wanted"]),
        (&1.into(), &0.into(), &1.into())
    );
    assert_eq!(get(address, "/autoscale/none").0, "HTTP/1.1 404 Not Found");
    assert_eq!(get(address, "/").0, "HTTP/1.1 404 Not Found");

    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}
