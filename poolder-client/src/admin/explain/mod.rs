//! Explains why a job does not run: facts are read with bounded reads, then pure functions decide.
//!
//! | file | content |
//! |---|---|
//! | `explanation` | the answer |
//! | `facts`, `read` | the facts, and their reads |
//! | `checks` | collects the answers; the first that fails is the verdict |
//! | `decide` | the order of the questions |
//! | `absent`, `running`, `waiting`, `serving`, `ready`, `slot` | the questions |
//! | `batch` | entries that gather in a list |

mod absent;
mod batch;
mod checks;
mod decide;
mod explanation;
mod facts;
mod group;
mod read;
mod ready;
mod running;
mod serving;
mod slot;
mod waiting;

pub use explanation::{Explanation, Why};
