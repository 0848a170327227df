//! A private server: its start, its settings and its end.

use std::time::Duration;

use poolder_devserver::{Fsync, Server};

#[test]
fn it_starts_and_answers() {
    let server = Server::start().expect("a server");
    assert_eq!(server.command(&["PING"]).expect("an answer"), "PONG");
    // An image's version is unknown, and a container has its own port and process ids.
    if server.found().version().is_some() {
        assert_eq!(server.url(), format!("redis+unix://{}/s.sock", server.dir().display()));
        assert_eq!(server.tcp_url(), None);
        let info = server.command(&["INFO", "server"]).expect("information");
        assert!(info.contains(&format!("process_id:{}\r\n", server.pid())), "{info}");
    }
    assert!(server.log_tail().contains("eady to accept connections"), "{}", server.log_tail());
}

#[test]
fn two_servers_know_nothing_of_each_other() {
    let (one, two) = (Server::start().expect("a server"), Server::start().expect("another"));
    one.command(&["SET", "key", "value"]).expect("set");
    assert_eq!(one.command(&["GET", "key"]).expect("an answer"), "value");
    assert_eq!(two.command(&["GET", "key"]).expect("an answer"), "(nil)");
}

#[test]
fn it_is_gone_when_dropped() {
    let server = Server::start().expect("a server");
    let dir = server.dir().to_owned();
    assert!(dir.join("server.log").exists());
    drop(server);
    assert!(!dir.exists());
}

#[test]
fn arguments_reach_it() {
    let server = Server::builder().arg("maxmemory", "1mb").start().expect("a server");
    let setting = server.command(&["CONFIG", "GET", "maxmemory"]).expect("an answer");
    assert_eq!(setting, "maxmemory\n1048576");
}

#[test]
fn it_listens_on_a_port_when_asked() {
    let server = Server::builder().tcp().start().expect("a server");
    let url = server.tcp_url().expect("a port");
    let host = url.strip_prefix("redis://").and_then(|rest| rest.strip_suffix('/'));
    std::net::TcpStream::connect(host.expect("host and port")).expect("it listens");
}

#[test]
fn a_wrong_argument_shows_the_log() {
    let error = Server::builder().arg("no-such-directive", "1").start().expect_err("no server");
    assert!(error.to_string().contains("no-such-directive"), "{error}");
}

#[test]
fn errors_of_commands_are_distinguished() {
    let server = Server::start().expect("a server");
    let error = server.command(&["HSET", "key"]).expect_err("too few arguments");
    assert!(error.is_reply() && error.to_string().starts_with("HSET: ERR"), "{error}");
    server.kill().expect("killed");
    let error = server.command(&["PING"]).expect_err("no answer");
    assert!(!error.is_reply(), "{error}");
}

#[test]
fn acknowledged_writes_survive_a_kill() {
    let server = Server::builder().aof(Fsync::Always).start().expect("a server");
    server.command(&["SET", "key", "value"]).expect("set");
    let (url, pid) = (server.url(), server.pid());
    server.kill().expect("killed");
    assert!(server.dir().exists());
    server.restart().expect("started again");
    assert_eq!(server.command(&["GET", "key"]).expect("an answer"), "value");
    assert_eq!(server.url(), url);
    assert_ne!(server.pid(), pid);
}

#[test]
fn without_a_file_a_restart_forgets() {
    let server = Server::start().expect("a server");
    server.command(&["SET", "key", "value"]).expect("set");
    server.restart().expect("a running server is killed first");
    assert_eq!(server.command(&["GET", "key"]).expect("an answer"), "(nil)");
}

#[test]
fn a_paused_server_is_silent_and_goes_on() {
    let server = Server::start().expect("a server");
    server.pause().expect("paused");
    let silent = server.command_within(Duration::from_millis(100), &["PING"]);
    assert!(silent.expect_err("no answer").to_string().contains("no answer in time"));
    server.resume().expect("resumed");
    assert_eq!(server.command(&["PING"]).expect("an answer"), "PONG");
}

#[test]
fn a_paused_server_can_be_killed_and_dropped() {
    let server = Server::start().expect("a server");
    server.pause().expect("paused");
    server.kill().expect("killed");
    server.restart().expect("started again");
    server.pause().expect("paused again");
    let dir = server.dir().to_owned();
    drop(server);
    assert!(!dir.exists());
}

#[test]
fn a_killed_server_can_not_be_paused() {
    let server = Server::start().expect("a server");
    server.kill().expect("killed");
    assert!(server.pause().is_err());
    server.kill().expect("killing the dead is no error");
}
