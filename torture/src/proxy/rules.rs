//! What is to be lost, and which script hides behind a hash.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::resp::Command;

/// What the network does to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lost {
    /// The server never hears of it.
    Request,
    /// The server obeys, its reply gets lost.
    Reply,
    /// The client gives up, and much later the server obeys.
    Time,
}

/// One loss to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    /// A command's name in capitals, or a script's in small letters.
    pub(crate) command: &'static str,
    /// So many of them pass first.
    pub(crate) after: u32,
    /// What is lost.
    pub(crate) what: Lost,
    /// The connection is cut at once; else it stays silent until the client gives up.
    pub(crate) cut: bool,
}

/// The losses to come. Several proxies may share them: whoever comes by first is struck.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    pending: Vec<(Loss, oneshot::Sender<String>)>,
    /// Hash of a script → its name, learned from `SCRIPT LOAD`.
    scripts: HashMap<Vec<u8>, String>,
}

/// A loss that strikes now.
#[derive(Debug)]
pub(super) struct Strike {
    pub(super) what: Lost,
    pub(super) cut: bool,
    pub(super) happened: oneshot::Sender<String>,
}

impl Rules {
    /// Loses something the next time the command comes by; the receiver learns through which
    /// proxy.
    pub(crate) fn lose(&self, loss: Loss) -> oneshot::Receiver<String> {
        let (happened, seen) = oneshot::channel();
        self.lock().pending.push((loss, happened));
        seen
    }

    /// Takes back losses that have not happened.
    pub(crate) fn forgive(&self) {
        self.lock().pending.clear();
    }

    /// A script has this hash.
    pub(super) fn learn(&self, hash: &[u8], name: &str) {
        self.lock().scripts.insert(hash.to_vec(), name.to_owned());
    }

    /// A command comes by; does a loss strike it?
    pub(super) fn pool_heartbeat(&self, command: &Command) -> Option<Strike> {
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

/// The name of the script that this command loads.
pub(super) fn loaded_script(command: &Command) -> Option<String> {
    let [verb, text] = command.arguments.as_slice() else { return None };
    if command.name != "SCRIPT" || !verb.eq_ignore_ascii_case(b"LOAD") {
        return None;
    }
    let text = text.strip_prefix(b"-- ")?;
    let end = text.windows(5).position(|part| part == b".lua:")?;
    Some(String::from_utf8_lossy(&text[..end]).into_owned())
}
