//! The dashboard of Poolder: an axum router to nest into an application, or a server of its own.
//!
//! [`Dashboard`] is made from a client. It reads what the client can read, draws it, and keeps
//! nothing but its last look at the server.
//!
//! ```no_run
//! use axum::Router;
//! use poolder_client::Client;
//! use poolder_web::Dashboard;
//!
//! # async fn f(client: Client) {
//! // Each visitor may read; `Dashboard::authorize` decides otherwise.
//! let app: Router = Router::new().nest("/jobs", Dashboard::new(client).router());
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await.unwrap();
//! axum::serve(listener, app).await.unwrap();
//! # }
//! ```
//!
//! An application decides with hooks who sees and changes what ([`Access`]); [`serve()`] and
//! [`ServeOptions`] are for a dashboard alone, which lets visitors in by tokens.
//!
//! | module | holds |
//! |---|---|
//! | `show` | numbers, times, charts, payloads and tables as text and markup; pure |
//! | `access` | the rights of visitors, and the hooks of an application |
//! | `look` | looks at the server, shared by all viewers |
//! | `task` | changes of many jobs, which go on while their visitor looks elsewhere |
//! | `request` | one request, its visitor and its path; the assets; the reasons of refusals |
//! | `page` | the pages: values for the templates |
//! | `http` | routes, the guard before them, live streams |
//! | `dashboard` | the dashboard as an application makes it |
//! | `serve` | the dashboard as a server of its own |
//!
//! The templates are in `templates`, the sheet and the scripts in `assets`; the scripts of others,
//! with their licences and hashes, in `assets/vendor`.

mod access;
mod dashboard;
mod http;
mod look;
mod page;
mod request;
mod serve;
mod show;
mod task;

pub use access::Access;
pub use dashboard::Dashboard;
#[doc(hidden)]
pub use page::example_commands;
pub use serve::{ServeOptions, serve};

#[cfg(doctest)]
#[doc = include_str!("../../docs/dashboard.md")]
struct Guide;
