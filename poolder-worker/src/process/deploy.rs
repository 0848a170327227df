//! The name of the deploy that this process belongs to.

use std::time::UNIX_EPOCH;

/// Returns the name of this deploy: `POOLDER_DEPLOY`, else the modification time of the program's
/// file.
pub(crate) fn this_deploy() -> String {
    if let Some(deploy) = std::env::var("POOLDER_DEPLOY").ok().filter(|name| !name.is_empty()) {
        return deploy;
    }
    let built = std::env::current_exe().and_then(|path| path.metadata()?.modified());
    let since = built.ok().and_then(|built| built.duration_since(UNIX_EPOCH).ok());
    format!("built-{}", since.unwrap_or_default().as_secs())
}
