//! Says what a change of several things has done.

use crate::show::many;

/// Says how many of some things were changed, and why the others were not: `failed` has a reason for
/// each of those.
pub(in crate::page) fn summary(
    verb: &str,
    (all, thing): (usize, &str),
    failed: &[String],
) -> String {
    let (left, made) = (failed.len() as u64, many(all.saturating_sub(failed.len()) as u64, thing));
    match failed {
        [] => format!("{verb} {made}."),
        [one] => format!("{verb} {made}, and left one: {one}."),
        [first, ..] => {
            format!("{verb} {made}, and left {}: {first}, and others.", many(left, thing))
        }
    }
}
