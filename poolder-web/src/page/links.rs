//! Links from one page to another.

use crate::request::{Context, encoded};

/// Returns the link to the page of a node.
pub(super) fn node_link(context: &Context, name: &str) -> String {
    context.link(&format!("/nodes/{}", encoded(name)))
}

/// Returns the link to the page of a kind.
pub(super) fn kind_link(context: &Context, queue: &str, kind: &str) -> String {
    context.link(&format!("/kinds/{}/{}", encoded(queue), encoded(kind)))
}
