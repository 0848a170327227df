//! The screen, driven in a real terminal by tmux.

use std::process::Command;
use std::time::{Duration, Instant};

use poolder::prelude::*;

use crate::program::{Number, Program, eventually, start};

/// The longest time until a key has its effect.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal of 80 columns and 24 lines, in a tmux server of its own.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// Starts the program in a new terminal; `None` where there is no tmux.
    fn start(program: &Program, words: &[&str], settings: &[(&str, &str)]) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("NOT RUN: there is no tmux");
            return None;
        }
        let terminal = Self { socket: poolder_devserver::namespace("top") };
        let command = program.command(words);
        let mut line = vec!["env".to_owned()];
        let own =
            command.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
        line.extend(
            own.chain(settings.iter().copied()).map(|(name, value)| format!("{name}={value}")),
        );
        line.push(command.get_program().to_str().unwrap().to_owned());
        line.extend(words.iter().map(|word| (*word).to_owned()));
        // The shell shows that the terminal is usable again.
        let quoted: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "{}; echo \"exit $?\"; stty -a | grep -o ' echo '; sleep 600",
            quoted.join(" ")
        );
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", &script]);
        Some(terminal)
    }

    fn tmux(&self, words: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.socket]).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Waits until the screen has all of these texts, and returns it.
    fn until(&self, texts: &[&str]) -> String {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if texts.iter().all(|text| screen.contains(text)) {
                return screen;
            }
            assert!(began.elapsed() < PATIENCE, "never {texts:?}:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}

/// Returns the last character of the wait of a queue on the overview.
fn wait_of(queue: &str, screen: &str) -> Option<char> {
    let heads = screen.lines().find(|line| line.contains("WAIT95"))?;
    let end = heads[..heads.find("WAIT95")?].chars().count() + "WAIT95".len();
    let row = screen.lines().find(|line| line[1..].starts_with(queue))?;
    row.chars().nth(end - 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_shows_queues_jobs_schedules_and_nodes_and_acts_on_them() {
    let program = Program::new("cli-top");
    let client = program.client();
    let worker = worker_fn(async |job: Number| match job.0 % 50 {
        49 => Err(BoxError::from("SMTP 451: the mailbox is full")),
        _ => {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Done)
        }
    });
    let pool = Pool::new("mail").size(4).worker(worker);
    let node = start(Node::builder(client.clone()).pool(pool).deploy("v42"));
    for number in 0..600 {
        let job =
            client.enqueue(Number(number)).queue("mail").policy(Policy::default().attempts(1));
        job.await.unwrap();
    }
    for number in 0..12 {
        client.enqueue(Number(number)).queue("reports").await.unwrap();
    }
    client.enqueue(Number(1)).queue("mail").after(Duration::from_secs(3_600)).await.unwrap();
    client.schedule("digest", "30 7 * * Mon-Fri", Number(1)).queue("mail").await.unwrap();

    let Some(terminal) = Terminal::start(&program, &["top"], &[("TERM", "xterm-256color")]) else {
        return;
    };
    let show = |name: &str, screen: &str| {
        if std::env::var_os("POOLDER_SHOW").is_some() {
            eprintln!("--- {name}\n{screen}");
        }
    };
    let overview = terminal.until(&["QUEUE", "WAIT95", "mail", "reports", "nodes 1"]);
    show("overview", &overview);
    assert_eq!(overview.lines().count(), 24, "{overview}");
    terminal.keys(&["?"]);
    show("help", &terminal.until(&["keys in upper case are dangerous"]));
    terminal.keys(&["Escape"]);

    // The second queue is paused, and drained after the name was typed.
    terminal.keys(&["/", "r", "e", "p", "Enter"]);
    terminal.until(&["/rep"]);
    terminal.keys(&["p"]);
    terminal.until(&["paused"]);
    assert!(client.inspect("reports").overview().await.unwrap().paused.is_some());
    terminal.keys(&["D"]);
    show("question", &terminal.until(&["Are you sure?", "Delete all waiting jobs of reports?"]));
    terminal.keys(&["n", "o", "Enter"]);
    terminal.until(&["nothing was changed"]);
    assert_eq!(client.inspect("reports").overview().await.unwrap().ready(), 12);
    terminal.keys(&["D", "reports", "Enter"]);
    terminal.until(&["deleted 12 waiting jobs of reports"]);
    assert_eq!(client.inspect("reports").overview().await.unwrap().ready(), 0);
    terminal.keys(&["Escape"]);

    eventually("twelve are dead", || async {
        client.inspect("mail").overview().await.unwrap().dead == 12
    })
    .await;
    terminal.keys(&["/", "mail", "Enter", "Enter"]);
    show("queue", &terminal.until(&["queue mail", "LANE", "normal", "waits for a slot"]));
    terminal.keys(&["Enter", "s", "s", "s"]);
    terminal.until(&["dead jobs of mail: 12", "SMTP 451"]);
    terminal.keys(&["j", "Enter"]);
    show("jobs", &terminal.until(&["dead jobs of mail: 12", "why", "handle"]));
    terminal.keys(&["X"]);
    terminal.until(&["Remove job"]);
    terminal.keys(&["y", "Enter"]);
    terminal.until(&["removed 01", "dead 11"]);
    // Two rows that are chosen are changed together.
    terminal.keys(&["Escape", "x", "x"]);
    show("chosen", &terminal.until(&["2 chosen"]));
    terminal.keys(&["X"]);
    show("question of several", &terminal.until(&["Remove 2 jobs? Type their number:"]));
    terminal.keys(&["2", "Enter"]);
    terminal.until(&["removed 2 jobs", "dead 9"]);
    terminal.keys(&["5"]);
    show("schedules", &terminal.until(&["1 schedule", "digest", "30 7 * * Mon-Fri"]));
    terminal.keys(&["Enter"]);
    show("schedule", &terminal.until(&["next three", "last run"]));
    terminal.keys(&["p"]);
    terminal.until(&["paused"]);
    terminal.keys(&["6"]);
    show("nodes", &terminal.until(&["1 node", "v42", "alive"]));
    // A node writes its last counts when it stops.
    node.stop().await;
    terminal.keys(&["4"]);
    terminal.until(&["1 error", "SMTP 451"]);
    terminal.keys(&["Enter"]);
    show("errors", &terminal.until(&["message", "first seen", "last hour"]));
    terminal.keys(&["R"]);
    terminal.until(&["Retry all jobs of error"]);
    terminal.keys(&["y", "Enter"]);
    terminal.until(&["retried 9 jobs of error"]);
    let called = terminal.until(&["! queue mail: 9 jobs wait"]);
    show("attention", &called);
    // The history, which the node wrote when it stopped, tells how long jobs have waited.
    terminal.keys(&["1"]);
    let began = Instant::now();
    let waited = loop {
        let screen = terminal.until(&["QUEUE"]);
        if wait_of("mail", &screen).is_some_and(|wait| wait != '-') {
            break screen;
        }
        assert!(began.elapsed() < PATIENCE, "no wait is shown:\n{screen}");
        std::thread::sleep(Duration::from_millis(100));
    };
    show("waits", &waited);
    terminal.keys(&["q"]);
    // The terminal is as it was.
    let left = terminal.until(&["exit 0", " echo"]);
    assert!(!left.contains("QUEUE"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_is_put_back_when_the_screen_is_killed_and_no_colour_is_used_where_none_is_wanted()
 {
    let program = Program::new("cli-top-end");
    program.client().enqueue(Number(1)).await.unwrap();
    let settings = [("TERM", "xterm-256color"), ("NO_COLOR", "1")];
    let Some(terminal) = Terminal::start(&program, &["top"], &settings) else { return };
    terminal.until(&["QUEUE", "no lea"]);
    let coloured = terminal.tmux(&["capture-pane", "-p", "-e"]);
    for colour in ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"] {
        assert!(!coloured.contains(colour), "{coloured:?}");
    }
    let shell: u32 = terminal.tmux(&["display", "-p", "#{pane_pid}"]).trim().parse().unwrap();
    let found = Command::new("pgrep").args(["-P", &shell.to_string()]).output().unwrap();
    let child = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    assert!(Command::new("kill").args(["-TERM", &child]).status().unwrap().success());
    terminal.until(&["exit 0", " echo"]);
}

#[test]
fn the_screen_needs_a_terminal_and_a_server() {
    let said = Program::without_server().fails(1, &["top"]);
    assert!(said.contains("needs a terminal\nhint: "), "{said}");
}
