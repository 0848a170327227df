//! The question before a command changes or deletes many things.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::output::{number, one_line, remark};

/// The options of commands that change or delete many things at once.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Confirm {
    /// Do it without a question, also to more than one job or node.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Change nothing: show what would be changed; of jobs their number, and ten of them.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
}

impl Confirm {
    /// Returns when the change of `count` things is allowed: it is one thing, `--yes` was given, or
    /// the user answers the question with the number. `change` says what would be done: `delete
    /// 1,203 dead jobs of mail`.
    pub(crate) async fn allow(self, count: u64, change: &str) -> Result<(), Failure> {
        if self.yes || count <= 1 {
            return Ok(());
        }
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Err(Failure::new(Exit::Refused, format!("this would {change}"))
                .hint("add --yes to do it, or --dry-run to see some of them"));
        }
        remark(&format!("This will {}.", one_line(change)));
        let _ = write!(io::stderr(), "Type {count} to go on: ");
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map(|_| line)
        });
        match answer.await {
            Ok(Ok(line)) if line.trim().replace(',', "") == count.to_string() => Ok(()),
            _ => Err(Failure::new(Exit::Refused, "nothing was changed")
                .hint(format!("the answer {} goes on", number(count)))),
        }
    }
}
