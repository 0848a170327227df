//! Batchers: a pool whose jobs are batches of entries that gathered in Redis. Imports `run` and
//! `node`.
//!
//! | file | what it holds |
//! |---|---|
//! | `builder` | a batcher as a part of a node |
//! | `worker` | the trait users implement |
//! | `batch` | a batch as its handler sees it |
//! | `chunk` | how many entries are read or copied at once |
//! | `marks` | which entries failed, and the effects that set them apart |
//! | `slot` | the worker that turns a batch job into a batch, and marks into effects |

mod batch;
mod builder;
mod chunk;
mod marks;
mod slot;
mod worker;

pub use batch::Batch;
pub use builder::Batcher;
pub use worker::BatchWorker;
