//! The command `dashboard`: where it listens, and whom it lets in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::program::{Number, Program};

/// A dashboard that runs until it is dropped.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(program: &Program, words: &[&str], token: Option<&str>) -> Self {
        let mut command = program.command(&[&["dashboard"], words].concat());
        if let Some(token) = token {
            command.env("POOLDER_WEB_TOKEN", token);
        }
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("serving http://").expect(&line);
        let address = address.split('/').next().unwrap().to_owned();
        Self { child, address }
    }

    fn get(&self, path: &str, host: &str, more: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_is_served_to_this_host_alone() {
    let program = Program::new("cli-dashboard");
    program.client().enqueue(Number(1)).await.unwrap();
    let served = Served::start(&program, &["--listen", "127.0.0.1:0", "--prefix", "ops"], None);
    let page = served.get("/", "localhost", "");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("href=\"/ops/queues/q\""), "{page}");
    let foreign = served.get("/", "evil.example", "");
    assert!(foreign.starts_with("HTTP/1.1 421"), "{foreign}");
    let refused = program.fails(2, &["dashboard", "--listen", "0.0.0.0:0"]);
    assert!(refused.contains("set a token") && !refused.contains("serving"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_others_in() {
    let program = Program::new("cli-dashboard-token");
    let token = "0123456789abcdef";
    let served = Served::start(&program, &["--listen", "0.0.0.0:0", "--read-only"], Some(token));
    let stranger = served.get("/", "ops.example.com", "");
    assert!(stranger.starts_with("HTTP/1.1 401") && stranger.contains("Basic realm"), "{stranger}");
    let known = format!("Authorization: Bearer {token}\r\n");
    let page = served.get("/", "ops.example.com", &known);
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("No queue was used yet."), "{page}");
}
