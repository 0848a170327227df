//! A private Redis or Valkey for development and tests.
//!
//! ```no_run
//! let server = poolder_devserver::Server::start()?;
//! assert_eq!(server.command(&["PING"])?, "PONG");
//! println!("{}", server.url());
//! # Ok::<(), poolder_devserver::Error>(())
//! ```
//!
//! A [`Server`] is the real engine, run as a child process on a unix socket in a private temporary
//! directory. It stops when its value is dropped and when its process ends, however it ends. Tests
//! that only need *a* server share one per process with [`shared`], each in its own [`namespace`].
//!
//! Nothing is installed unless [`Builder::install`] allows it; [`locate`] returns the server that
//! would be used.

#[cfg(not(unix))]
compile_error!(
    "poolder-devserver needs unix sockets and signals: on Windows, work inside WSL2, or set \
     POOLDER_REDIS_URL to your own server and leave the feature that needs this crate off"
);

mod builder;
mod cache;
mod cluster;
mod error;
mod install;
mod launch;
mod locate;
mod namespace;
mod process;
mod reshard;
mod resp;
mod sentinel;
mod server;
mod shared;
mod supervisor;
mod tempdir;
mod version;

pub use builder::{Builder, Fsync};
pub use cluster::Cluster;
pub use error::Error;
pub use install::Install;
pub use locate::{Found, ensure, locate};
pub use namespace::namespace;
pub use reshard::Takeover;
pub use sentinel::Sentinel;
pub use server::Server;
pub use shared::{ALLOW_SHARED_VAR, DEV_URL_VAR, Shared, USER_URL_VARS, shared};
pub use version::Version;
