//! A TCP proxy of our own between a process and its server: it can lose a request or the reply to
//! a named command, hold traffic back, chop it into single bytes, close half a connection, cut all
//! of them, or let nothing through. One proxy per process, so that a fault has one victim.

mod link;
mod resp;
mod rules;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use rules::{Loss, Lost, Rules};

/// What traffic has to bear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Each chunk waits this long.
    pub(crate) delay: Duration,
    /// Every byte is a packet of its own.
    pub(crate) dribble: bool,
    /// Nothing gets through; connections stay.
    pub(crate) frozen: bool,
    /// Connections opened in an earlier one are cut.
    cuts: u64,
    /// Connections opened in an earlier one are closed towards the client.
    halves: u64,
}

/// A running proxy. Dropping it closes every connection.
pub(crate) struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of the loopback interface and connects to `upstream`. `name` is told
    /// to those who wait for a loss.
    pub(crate) async fn start(
        name: &str,
        upstream: SocketAddr,
        rules: Arc<Rules>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (weather, forecast) = watch::channel(Weather::default());
        let accepting = tokio::spawn(accept(listener, upstream, name.into(), rules, forecast));
        Ok(Self { address, weather, accepting })
    }

    /// The URL for clients.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    /// Changes the weather.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        self.set(|weather| weather.cuts += 1);
    }

    /// Tells every client that no more replies come, but still takes what it sends.
    pub(crate) fn half_close(&self) {
        self.set(|weather| weather.halves += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    name: Arc<str>,
    rules: Arc<Rules>,
    weather: watch::Receiver<Weather>,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of file handles for a moment.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (name, rules, weather) = (Arc::clone(&name), Arc::clone(&rules), weather.clone());
        tokio::spawn(async move {
            // A server that is down refuses; so do we, by hanging up.
            if let Ok(server) = TcpStream::connect(upstream).await {
                link::carry(client, server, &name, rules, weather).await;
            }
        });
    }
}

#[cfg(test)]
mod tests;
