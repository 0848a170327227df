//! Entries of a batcher: pushed from any host, listed, popped, sealed early.
//!
//! [`Client`](crate::Client) keeps the state that the handles of one batcher share.

mod bulk;
mod handle;
mod push;
mod refusal;
mod shared;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use bulk::{Bulk, Many};
pub use handle::{BatcherHandle, Listed, Pop};
pub use push::{One, Push};
pub(crate) use shared::BatcherState;

/// A value that can be an entry: any type that serde can serialize and deserialize.
pub trait BatchEntry: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> BatchEntry for T {}
