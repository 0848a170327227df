//! Keys of unique jobs: freeing them at a start, seeing who holds one, releasing it, and sweeping
//! those that no job holds any more. Enqueues, settlements, revivals and commands take and free keys
//! in their own scripts.

mod keys;
mod start;
mod sweep;

pub use keys::KeyView;
pub use sweep::KeySweep;
