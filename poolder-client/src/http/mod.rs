//! A small HTTP listener for probes and scrapes: one GET a connection, a short answer, and the
//! connection is closed. It imports nothing else of this crate.
//!
//! | file | contents |
//! |---|---|
//! | `request` | reads the head of a request; pure |
//! | `answer` | an answer, and its bytes |
//! | `connection` | one connection, with its time limits |
//! | `listener` | the thread that accepts connections, a bounded number at a time |

mod answer;
mod connection;
mod listener;
mod request;

pub use answer::HttpAnswer;
pub use listener::HttpListener;
