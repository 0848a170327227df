//! Failures: the exit code, one line, one hint, no secret.

use poolder_devserver::Server;

use crate::program::Program;

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let nowhere = Program::on("redis://:s3cret@127.0.0.1:1", "n");
    let said = nowhere.fails(4, &["schedule", "list"]);
    assert!(said.contains("127.0.0.1:1") && !said.contains("s3cret"), "{said}");
    let said = nowhere.fails(2, &["schedule", "list", "--redis", "no url: s3cret@"]);
    assert!(!said.contains("s3cret"), "{said}");
    let help = nowhere.ok(&["--help"]);
    assert!(!help.contains("s3cret"), "{help}");
}

#[test]
fn a_wrong_password_and_a_missing_right_are_told_without_the_password() {
    let server = Server::builder().tcp().start().unwrap();
    let address = server.tcp_url().unwrap().replace("redis://", "");
    let add = ["schedule", "add", "n", "--queue", "q", "--kind", "k", "--every", "1m"];
    server
        .command(&[
            "ACL",
            "SETUSER",
            "reader",
            "on",
            ">s3cret",
            "~*",
            "&*",
            "+@read",
            "+@connection",
        ])
        .unwrap();
    for url in
        [format!("redis://reader:wr0ng@{address}"), format!("redis://reader:s3cret@{address}")]
    {
        let said = Program::on(&url, "n").fails(4, &add);
        assert!(said.contains("hint: put user and password"), "{said}");
        assert!(!said.contains("wr0ng") && !said.contains("s3cret"), "{said}");
    }
}

#[test]
fn a_replica_is_named_as_the_reason_why_it_changes_nothing() {
    let primary = Server::builder().tcp().start().unwrap();
    let replica = Server::builder().tcp().start().unwrap();
    let port = primary.port().unwrap().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]).unwrap();
    let program = Program::on(&replica.tcp_url().unwrap(), "n");
    let add = ["schedule", "add", "n", "--queue", "q", "--kind", "k", "--every", "1m"];
    let said = program.fails(4, &add);
    assert!(said.contains("hint: this server is a replica"), "{said}");
}

#[test]
fn a_reader_that_leaves_early_is_no_failure_and_a_full_disk_is_one() {
    let program = Program::without_server();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let run = program.command(&["completion", "bash"]).stdout(writer).output().unwrap();
    let done = crate::program::done(&run);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let run = program.command(&["completion", "bash"]).stdout(full).output().unwrap();
    let done = crate::program::done(&run);
    assert_eq!(done.code, Some(1));
    assert!(done.err.starts_with("poolder: standard output cannot be written"), "{}", done.err);
}

#[test]
fn a_command_ends_at_its_time_limit() {
    let server = Server::builder().tcp().start().unwrap();
    server.pause().unwrap();
    let program = Program::on(&server.tcp_url().unwrap(), "n");
    let said = program.fails(7, &["schedule", "list", "--timeout", "100ms"]);
    assert!(said.contains("within 100ms"), "{said}");
}

#[test]
fn the_program_tells_about_itself_without_a_server() {
    let program = Program::without_server();
    assert_eq!(program.ok(&["version", "-o", "ids"]), format!("{}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(program.json(&["version"])["program"], "poolder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(program.ok(&["completion", shell]).contains("schedule"), "{shell}");
    }
    assert!(program.ok(&["man"]).contains(".TH poolder"));
    let page = program.ok(&["man", "schedule", "add"]);
    assert!(page.contains("poolder-schedule-add") && page.contains("\\-\\-replace"), "{page}");
    assert!(program.fails(2, &["man", "nothing"]).contains("hint: `poolder --help`"));
    program.fails(2, &["no-such-noun"]);
}
