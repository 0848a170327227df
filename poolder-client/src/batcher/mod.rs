//! Entries for a batcher: pushed from any host, looked at, taken out, sealed early.
//!
//! Below [`Client`](crate::Client), which keeps what the handles of a batcher share.

mod bulk;
mod handle;
mod push;
mod refusal;
mod shared;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use bulk::{Bulk, Many};
pub use handle::{BatcherHandle, Listed};
pub use push::{One, Push};
pub(crate) use shared::BatcherState;

/// What can be an entry: any value that serde can store and read.
pub trait BatchEntry: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> BatchEntry for T {}
