//! Runs other programs and reads the state of processes.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs a program to its end and returns its standard output, or a short reason for the failure.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let spawned =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("{name} is not installed"));
        }
        Err(error) => return Err(format!("{name}: {error}")),
    };

    // The program has ended when both streams are closed; std cannot wait for a child with a time
    // limit.
    let (sender, ended) = mpsc::channel();
    let stdout = child.stdout.take().map(|stream| collect(stream, sender.clone()));
    let stderr = child.stderr.take().map(|stream| collect(stream, sender));
    for _ in 0..2 {
        if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            // A failed kill means that the child has ended already; in both cases it is reaped.
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{name} took longer than {} s", limit.as_secs()));
        }
    }
    let status = child.wait().map_err(|error| format!("{name}: {error}"))?;
    let text = |thread: Option<thread::JoinHandle<String>>| {
        thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    if status.success() { Ok(stdout) } else { Err(reason(&name, &stdout, &stderr, &status)) }
}

fn collect(
    mut stream: impl Read + Send + 'static,
    ended: mpsc::Sender<()>,
) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // Bytes that were read before an error are still worth showing.
        let _ = stream.read_to_end(&mut bytes);
        let _ = ended.send(());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Returns the last line that the program printed, which usually names the cause.
fn reason(name: &str, stdout: &str, stderr: &str, status: &std::process::ExitStatus) -> String {
    let last = |text: &str| text.lines().map(str::trim).rfind(|l| !l.is_empty()).map(str::to_owned);
    match last(stderr).or_else(|| last(stdout)) {
        Some(line) => format!("{name}: {line}"),
        None => format!("{name}: {status}"),
    }
}

/// Returns the state letter of a process as `ps` shows it (`R`, `S`, `T` stopped, `Z` ended but not
/// yet reaped); `None` when there is no such process.
pub(crate) fn state(pid: u32) -> Option<char> {
    if let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The second field is the program's name in parentheses, which may contain any character.
        return stat.rsplit_once(')')?.1.trim_start().chars().next();
    }
    if std::path::Path::new("/proc/self/stat").exists() {
        return None;
    }
    // Systems without /proc (macOS, the BSDs) always have ps.
    let mut ps = Command::new("ps");
    ps.args(["-o", "stat=", "-p", &pid.to_string()]);
    run(&mut ps, Duration::from_secs(5)).ok()?.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::{run, state};
    use std::process::Command;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(30);

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_last_line_is_the_reason() {
        assert_eq!(run(&mut sh("echo hello"), LONG), Ok("hello\n".to_owned()));
        let failed = run(&mut sh("echo first >&2; echo cause >&2; exit 3"), LONG);
        assert_eq!(failed, Err("sh: cause".to_owned()));
    }

    #[test]
    fn a_missing_program_is_named() {
        let missing = run(&mut Command::new("no-such-program-of-poolder"), LONG);
        assert_eq!(missing, Err("no-such-program-of-poolder is not installed".to_owned()));
    }

    #[test]
    fn a_program_that_never_ends_is_stopped() {
        let stuck = run(&mut sh("exec sleep 1000"), Duration::from_millis(50));
        assert_eq!(stuck, Err("sh took longer than 0 s".to_owned()));
    }

    #[test]
    fn states_are_seen() {
        assert!(state(std::process::id()).is_some_and(|state| "RSD".contains(state)));
        let mut child = sh("exit 0").spawn().expect("sh starts");
        let pid = child.id();
        child.wait().expect("sh ends");
        assert_eq!(state(pid), None);
    }
}
