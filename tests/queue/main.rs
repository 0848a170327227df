//! The queue of a test: no server is needed.

mod assertions;
mod batches;
mod calls;
mod drains;
mod expiry;
mod jobs;
mod performs;
mod schedules;
mod speed;
mod unique;

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

/// A job of a mail queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Job)]
#[job(kind = "welcome", queue = "mail", attempts = 5)]
pub(crate) struct Welcome {
    pub(crate) user: u64,
}

/// A job of another type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Job)]
#[job(kind = "charge", queue = "payments")]
pub(crate) struct Charge {
    pub(crate) amount: u64,
}

/// Returns the text of the panic that a future ends with.
pub(crate) async fn panic_of(future: impl Future<Output = ()> + Send + 'static) -> String {
    let panic = tokio::spawn(future).await.unwrap_err().into_panic();
    let owned = panic.downcast::<String>().map(|text| *text);
    owned.or_else(|panic| panic.downcast::<&str>().map(|text| (*text).to_owned())).unwrap()
}
