//! A TCP proxy between a process and its server. It can lose the request or the reply of a named
//! command, delay or slow down traffic, hold replies back, split
//! traffic into single bytes, close half of a connection, cut all of them,
//! or let nothing through. Each process has its own proxy, so that a fault has one victim.

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

/// The conditions of the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// The delay of each chunk.
    pub(crate) delay: Duration,
    /// Every byte is sent as a packet of its own.
    pub(crate) dribble: bool,
    /// Nothing gets through; connections stay open.
    pub(crate) frozen: bool,
    /// No reply gets through; requests do.
    pub(crate) silent: bool,
    /// The line carries 1 MB/s.
    pub(crate) narrow: bool,
    /// Connections opened under a lower number are cut.
    cuts: u64,
    /// Connections opened under a lower number are closed towards the client.
    halves: u64,
}

/// A running proxy. Dropping it closes every connection.
pub(crate) struct Proxy {
    address: SocketAddr,
    conditions: watch::Sender<Conditions>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of the loopback interface and connects to `upstream`. A loss reports
    /// `name` as the proxy where it happened.
    pub(crate) async fn start(
        name: &str,
        upstream: SocketAddr,
        rules: Arc<Rules>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (conditions, receiver) = watch::channel(Conditions::default());
        let accepting = tokio::spawn(accept(listener, upstream, name.into(), rules, receiver));
        Ok(Self { address, conditions, accepting })
    }

    /// Returns the address at which the proxy listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL for clients.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    /// Changes the conditions.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Conditions)) {
        self.conditions.send_modify(change);
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        self.set(|conditions| conditions.cuts += 1);
    }

    /// Closes every connection towards the client, while data from the client is still accepted.
    pub(crate) fn half_close(&self) {
        self.set(|conditions| conditions.halves += 1);
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
    conditions: watch::Receiver<Conditions>,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // The process has no free file handle at the moment.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (name, rules, conditions) = (Arc::clone(&name), Arc::clone(&rules), conditions.clone());
        tokio::spawn(async move {
            // A server that is down refuses connections. The proxy can only close them.
            if let Ok(server) = TcpStream::connect(upstream).await {
                link::carry(client, server, &name, rules, conditions).await;
            }
        });
    }
}

#[cfg(test)]
mod tests;
