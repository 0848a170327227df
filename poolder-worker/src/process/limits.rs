//! Time limits that several layers share.

use std::time::Duration;

use poolder_core::policy::Pauses;

/// Limits how long the callbacks of slots that stop may go on before their futures are dropped.
pub(crate) const LAST_CALL: Duration = Duration::from_secs(5);
/// The same limit once the pool releases its jobs: the shutdown must end in time.
pub(crate) const RELEASE_CALL: Duration = Duration::from_millis(500);

/// A node that is missing from the roster, and has not returned to it for this long, is gone: a
/// living one returns with its next beat, and some seconds later when the server was away.
pub(crate) const ABSENCE_LIMIT: Duration = Duration::from_secs(15);

/// The pause before a part of the node that panicked is restarted.
pub(crate) const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The pause before the first retry of a failed request to the server. Each further failure doubles
/// it, up to [`LONGEST_PAUSE`].
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two retries of a failed request to the server.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Returns the pauses between the tries of a request to the server.
pub(crate) const fn request_pauses() -> Pauses {
    Pauses::new(FIRST_PAUSE, LONGEST_PAUSE)
}
