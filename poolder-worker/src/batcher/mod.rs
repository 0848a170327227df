//! Batchers: pools whose jobs are batches of entries, which gather in Redis. Imports `run` and
//! `node`.
//!
//! | file | contents |
//! |---|---|
//! | `builder` | the builder of a batcher, which is a component of a node |
//! | `worker` | the trait that users implement |
//! | `batch` | the batch that a handler gets |
//! | `chunk` | the number of entries that are read or copied at once |
//! | `marks` | marks for entries that failed, and the effects that set these entries aside |
//! | `slot` | the worker that makes a batch of a batch job, and effects of its marks |

mod batch;
mod builder;
mod chunk;
mod marks;
mod slot;
mod worker;

pub use batch::Batch;
pub use builder::Batcher;
pub use worker::BatchWorker;
