//! Counts instructions with callgrind, a tool of valgrind.

use std::process::{Command, Stdio};

use poolder_devserver::Install;

/// The words before a program that is counted. The counts by function are not kept.
pub const CALLGRIND: [&str; 3] = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];

/// An operation, with two numbers of jobs whose difference is taken. The first is large enough for
/// buffers to have grown.
pub struct Operation {
    pub what: &'static str,
    pub few: u64,
    pub many: u64,
    /// The number of runs of each length, of which the one with the least instructions counts:
    /// timers fire by the clock, so that some runs take more.
    pub tries: usize,
}

impl Operation {
    /// Returns the instructions per job. `instructions` returns those of a run with a number of
    /// jobs.
    pub fn count<E>(&self, mut instructions: impl FnMut(u64) -> Result<u64, E>) -> Result<u64, E> {
        let (mut few, mut many) = (u64::MAX, u64::MAX);
        for _ in 0..self.tries {
            few = few.min(instructions(self.few)?);
            many = many.min(instructions(self.many)?);
        }
        Ok(many.saturating_sub(few) / (self.many - self.few))
    }
}

/// Returns the number of instructions that callgrind prints at the end of a program.
pub fn collected(text: &str) -> Option<u64> {
    let (_, number) = text.lines().find_map(|line| line.split_once("Collected :"))?;
    number.trim().parse().ok()
}

/// Returns the C library of this machine. Its allocator and its copying influence the counts.
pub fn libc() -> String {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").stderr(Stdio::null()).output();
    let name = output.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    name.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "another libc".into())
}

/// Finds valgrind, and installs it if `install` allows that.
pub fn find(install: Install) -> Result<(), &'static str> {
    let there = || Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok();
    if there() {
        return Ok(());
    }
    if install == Install::Yes {
        let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
        let apt = |words: &[&str]| {
            let mut command = Command::new(if root { "apt-get" } else { "sudo" });
            if !root {
                command.args(["-n", "apt-get"]);
            }
            command.args(words).stdout(Stdio::null()).status()
        };
        let _ = apt(&["update"]);
        let _ = apt(&["install", "--yes", "--no-install-recommends", "valgrind"]);
    }
    if there() {
        return Ok(());
    }
    Err("valgrind is missing: install it (apt-get install valgrind), or allow that with --yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_each_length_counts() {
        let operation = Operation { what: "a", few: 10, many: 20, tries: 3 };
        let mut runs = [105, 200, 100, 250, 130, 210].into_iter();
        let count = operation.count(|jobs| {
            let found = runs.next().ok_or("too many runs")?;
            assert_eq!(jobs, if found < 150 { 10 } else { 20 });
            Ok::<u64, &str>(found)
        });
        assert_eq!((count, runs.next()), (Ok(10), None));
        assert_eq!(operation.count(|_| Err("ended")), Err("ended"));
    }

    #[test]
    fn the_sum_is_found_in_the_output() {
        let text = "==7== Events    : Ir\n==7== Collected : 8744546\n==7== \n";
        assert_eq!(collected(text), Some(8_744_546));
        assert_eq!(collected("==7== Process terminating with signal 4"), None);
    }
}
