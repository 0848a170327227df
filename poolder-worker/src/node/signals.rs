//! The signals that stop a node: the first begins the shutdown, the second exits the process.

use std::io;

use tokio::sync::oneshot;

/// Waits for SIGTERM or SIGINT, then lets a second one exit the process at once, with code 128 plus
/// its number. Never ends when signals cannot be received. The caller may drop it: then the second
/// signal is the first.
///
/// A thread with a runtime of its own receives the signals, so that they are received while handlers
/// block all threads of the node's runtime.
pub(super) async fn stop_signal() {
    let (first, received) = oneshot::channel();
    let started = std::thread::Builder::new()
        .name("poolder-signals".into())
        .spawn(move || listen(first).unwrap_or_else(|error| cannot_be_received(&error)));
    if let Err(error) = started {
        cannot_be_received(&error);
    }
    if received.await.is_err() {
        std::future::pending::<()>().await;
    }
    tracing::info!("signal received: finishing running jobs; a second signal exits at once");
}

/// Reports the first signal and exits at the second; returns when the first is no longer awaited.
fn listen(mut first: oneshot::Sender<()>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        tokio::select! {
            _ = signals.next() => {}
            () = first.closed() => return Ok(()),
        }
        let _ = first.send(());
        std::process::exit(128 + signals.next().await);
    })
}

fn cannot_be_received(error: &io::Error) {
    tracing::error!(%error, "signals cannot be received; stop the process another way");
}

/// The signals that stop a node.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal, and returns its number.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
        }
    }
}

/// Ctrl-C, which stops a node.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for Ctrl-C, and returns the number of SIGINT.
    async fn next(&mut self) -> i32 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        2
    }
}
