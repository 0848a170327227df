//! A job that met a limit of another system: where it goes back, and what is held.

use std::time::Duration;

/// The group to whose front a job goes back, and what is held for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hold<'a> {
    pub(super) group: &'a [u8],
    pub(super) cost: u32,
    pub(super) wait: Duration,
    pub(super) is_queue: bool,
}
