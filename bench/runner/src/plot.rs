//! Plots.

use std::path::Path;

use crate::report::Summary;

/// Writes the plots.
pub fn write(_summary: &Summary, _dir: &Path) -> std::io::Result<()> {
    Ok(())
}
