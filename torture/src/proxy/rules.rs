//! The commands to lose, and the names of scripts by their hashes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::resp::Command;

/// The part of a command that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lost {
    /// The server never receives the request.
    Request,
    /// The server executes the command, and its reply is lost.
    Reply,
    /// The client gives up, and the server executes the command much later.
    Time,
}

/// A loss that is to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    /// The name of a command in capitals, or of a script in small letters.
    pub(crate) command: &'static str,
    /// The number of matching commands that pass first.
    pub(crate) after: u32,
    /// The part that is lost.
    pub(crate) what: Lost,
    /// True cuts the connection at once; false leaves it silent until the client gives up.
    pub(crate) cut: bool,
}

/// The losses that are to happen. Several proxies may share them: the first matching command of any
/// proxy is hit.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    pending: Vec<(Loss, oneshot::Sender<String>)>,
    /// Hash of a script → its name, taken from `SCRIPT LOAD`.
    scripts: HashMap<Vec<u8>, String>,
}

/// A loss that hits a command now.
#[derive(Debug)]
pub(super) struct Strike {
    pub(super) what: Lost,
    pub(super) cut: bool,
    pub(super) happened: oneshot::Sender<String>,
}

impl Rules {
    /// Loses part of the next matching command. The receiver gets the name of the proxy where that
    /// happened.
    pub(crate) fn lose(&self, loss: Loss) -> oneshot::Receiver<String> {
        let (happened, seen) = oneshot::channel();
        self.lock().pending.push((loss, happened));
        seen
    }

    /// Cancels the losses that have not happened.
    pub(crate) fn forgive(&self) {
        self.lock().pending.clear();
    }

    /// Records the name of the script with this hash.
    pub(super) fn learn(&self, hash: &[u8], name: &str) {
        self.lock().scripts.insert(hash.to_vec(), name.to_owned());
    }

    /// Returns the loss that hits this command, if any.
    pub(super) fn next_strike(&self, command: &Command) -> Option<Strike> {
        let mut inner = self.lock();
        if inner.pending.is_empty() {
            return None;
        }
        let hash = if command.name == "EVALSHA" { command.arguments.first() } else { None };
        let script = hash.and_then(|hash| inner.scripts.get(hash)).cloned();
        let name = script.as_deref().unwrap_or(&command.name);
        let at = inner.pending.iter().position(|(loss, _)| loss.command == name)?;
        if inner.pending[at].0.after > 0 {
            inner.pending[at].0.after -= 1;
            return None;
        }
        let (loss, happened) = inner.pending.remove(at);
        Some(Strike { what: loss.what, cut: loss.cut, happened })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the name of the script that this command loads.
pub(super) fn loaded_script(command: &Command) -> Option<String> {
    let [verb, text] = command.arguments.as_slice() else { return None };
    if command.name != "SCRIPT" || !verb.eq_ignore_ascii_case(b"LOAD") {
        return None;
    }
    let text = String::from_utf8_lossy(text);
    let mut heads = text.lines().filter_map(|line| line.strip_prefix("-- ")?.split_once(".lua: "));
    // Parts of other scripts may stand in front of the script's own file.
    let is_part =
        |about: &str| about.starts_with("a part of") || about.starts_with("stands in front");
    heads.find(|(_, about)| !is_part(about)).map(|(name, _)| name.to_owned())
}
