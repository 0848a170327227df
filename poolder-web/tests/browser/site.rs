//! A dashboard as visitors reach it: its router on a port of this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use poolder_client::Client;
use poolder_web::{Access, Dashboard};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::world::text;

/// A dashboard that is served until this value is dropped.
pub(crate) struct Site {
    address: String,
    admits: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Site {
    /// Serves the dashboard of a client to a visitor who may do everything.
    pub(crate) async fn start(client: &Client) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
        let address = format!("http://{}", listener.local_addr().map_err(text)?);
        let admits = Arc::new(AtomicBool::new(true));
        let valid = Arc::clone(&admits);
        let dashboard = Dashboard::new(client.clone()).actor(|_| "ann".into());
        let dashboard = dashboard.authorize(move |_, _| match valid.load(Ordering::Relaxed) {
            true => Access::Admin,
            false => Access::None,
        });
        let router: axum::Router = dashboard.router();
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, admits, task })
    }

    /// Returns the address of a page.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Ends the session of the visitor, or lets the visitor in again.
    pub(crate) fn admit(&self, admits: bool) {
        self.admits.store(admits, Ordering::Relaxed);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}
