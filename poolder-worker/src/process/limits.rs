//! Time limits that several layers share.

use std::time::Duration;

/// How long handlers that were told to stop may take before the process leaves without them.
pub(crate) const LAST_CALL: Duration = Duration::from_secs(5);

/// After a failure of the server the next try waits this long, and longer each time …
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// … up to this.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(2);
