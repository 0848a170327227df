//! The program as the tests run it.

use std::future::Future;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Config, NodeBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const PROGRAM: &str = env!("CARGO_BIN_EXE_poolder");

/// The program, in its own namespace.
pub(crate) struct Program {
    url: String,
    namespace: String,
}

/// The end of a run.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// Returns standard output and standard error of a run that has succeeded.
    pub(crate) fn said(&self) -> (&str, &str) {
        assert_eq!(self.code, Some(0), "{}", self.err);
        (&self.out, &self.err)
    }
}

impl Program {
    pub(crate) fn new(test: &str) -> Self {
        let server = poolder_devserver::shared().unwrap_or_else(|error| panic!("{error}"));
        Self::on(server.url(), &poolder_devserver::namespace(test))
    }

    pub(crate) fn on(url: &str, namespace: &str) -> Self {
        Self { url: url.to_owned(), namespace: namespace.to_owned() }
    }

    /// Returns the program with the URL of a server that is not there.
    pub(crate) fn without_server() -> Self {
        Self::on("redis://127.0.0.1:1", "n")
    }

    /// Returns the command, with nothing on its standard input.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(words);
        self.give(&mut command);
        command
    }

    /// Returns a line of bash in which `poolder` is the program.
    pub(crate) fn bash(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", line]);
        let folder = Path::new(PROGRAM).parent().unwrap();
        let others = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&others));
        command.env("PATH", std::env::join_paths(folders).unwrap());
        self.give(&mut command);
        command
    }

    /// Gives a command the server, the namespace, and nothing on its standard input.
    fn give(&self, command: &mut Command) {
        command
            .env("POOLDER_REDIS_URL", &self.url)
            .env("POOLDER_NAMESPACE", &self.namespace)
            .stdin(Stdio::null());
    }

    pub(crate) fn run(&self, words: &[&str]) -> Done {
        done(&self.command(words).output().unwrap())
    }

    /// Runs the program, which must succeed, and returns its standard output.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let done = self.run(words);
        assert_eq!(done.code, Some(0), "{words:?}: {}", done.err);
        done.out
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[words, &["--json"]].concat())).unwrap()
    }

    /// Runs the program, which must fail with this exit code and write nothing but one line and at
    /// most one hint to standard error. Returns them.
    pub(crate) fn fails(&self, code: i32, words: &[&str]) -> String {
        let Done { code: ended, out, err } = self.run(words);
        assert_eq!(ended, Some(code), "{words:?}: {err}");
        assert_eq!(out, "", "{words:?}");
        let lines: Vec<&str> = err.lines().collect();
        let is_usage = lines[0].starts_with("error: ");
        let is_failure = lines[0].starts_with("poolder: ")
            && (lines.len() == 1 || (lines.len() == 2 && lines[1].starts_with("hint: ")));
        assert!(is_usage || is_failure, "{words:?}: {err}");
        err
    }

    /// Returns a hash of all keys of the namespace and their values.
    pub(crate) fn digest(&self) -> String {
        let server = poolder_devserver::shared().unwrap_or_else(|error| panic!("{error}"));
        let script = "local all = {} for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
                      all[#all + 1] = key .. redis.sha1hex(redis.call('DUMP', key)) end \
                      table.sort(all) return redis.sha1hex(table.concat(all))";
        server.command(&["EVAL", script, "0", &format!("{}:*", self.namespace)]).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(Config::new(&self.url).namespace(&self.namespace)).unwrap()
    }
}

/// Returns the end of a run.
pub(crate) fn done(output: &Output) -> Done {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Done { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A job that carries a number.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Job)]
#[job(kind = "number", queue = "q")]
pub(crate) struct Number(pub(crate) u64);

/// A worker whose jobs fail.
#[derive(Clone)]
pub(crate) struct Failing;

impl Worker for Failing {
    type Job = Number;

    async fn handle_job(&mut self, _: Number, _: Context) -> Result<Outcome, BoxError> {
        Err("no number today".into())
    }
}

/// A node that runs in this process.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), poolder::Error>>,
}

/// Starts a node in this process.
pub(crate) fn start(node: NodeBuilder) -> Running {
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(node.run_until(async {
        let _ = stopped.await;
    }));
    Running { stop, task }
}

impl Running {
    /// Waits until the node has ended by itself.
    pub(crate) async fn ended(self) {
        tokio::time::timeout(Duration::from_secs(60), self.task).await.unwrap().unwrap().unwrap();
    }

    /// Stops the node as a signal would, and waits until it has ended.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap().unwrap();
    }
}

/// Repeats a condition until it is true, for changes that send no event; panics after a minute.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}
