//! The assets: one sheet, and the scripts. A name has the hash of its content, so that a browser
//! keeps it for a year and never has the wrong one.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

const SHEET: &str = concat!(
    include_str!("../../assets/poolder.css"),
    include_str!("../../assets/vendor/uPlot.min.css"),
);
const SCRIPTS: &str = concat!(
    include_str!("../../assets/vendor/htmx.min.js"),
    "\n",
    include_str!("../../assets/vendor/hx-sse.min.js"),
    "\n",
    include_str!("../../assets/vendor/uPlot.iife.min.js"),
    "\n",
    include_str!("../../assets/poolder.js"),
);
const ICON: &str = include_str!("../../assets/icon.svg");

/// The names of the assets.
#[derive(Debug)]
pub(crate) struct Assets {
    pub(crate) sheet: String,
    pub(crate) scripts: String,
    pub(crate) icon: String,
}

impl Assets {
    pub(crate) fn names() -> &'static Self {
        static NAMES: OnceLock<Assets> = OnceLock::new();
        NAMES.get_or_init(|| Self {
            sheet: format!("poolder-{}.css", hash(SHEET)),
            scripts: format!("poolder-{}.js", hash(SCRIPTS)),
            icon: format!("icon-{}.svg", hash(ICON)),
        })
    }
}

fn hash(content: &str) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

impl Assets {
    /// Returns the type and the content of an asset.
    pub(crate) fn find(&self, name: &str) -> Option<(&'static str, &'static str)> {
        match name {
            name if name == self.sheet => Some(("text/css; charset=utf-8", SHEET)),
            name if name == self.scripts => Some(("text/javascript; charset=utf-8", SCRIPTS)),
            name if name == self.icon => Some(("image/svg+xml", ICON)),
            _ => None,
        }
    }
}
