//! The command that enqueues a job like one that is shown.

use poolder_core::Lane;
use poolder_core::view::JobView;

use super::change::shown;
use super::shell::quoted;
use crate::request::Context;

/// The longest payload that a command line has, in bytes.
const PAYLOAD: usize = 16 * 1_024;

/// Returns the command that enqueues a job like this one; nothing for an entry that is no job. A
/// payload that is long, or partly hidden from visitors, stands in a file.
pub(super) fn command(context: &Context, view: &JobView) -> String {
    let (Some(kind), Some(raw)) = (view.kind(), view.payload()) else { return String::new() };
    let payload = match shown(context, view) {
        Ok((shown, true)) => shown.to_string(),
        _ => String::new(),
    };
    let payload = match payload.len() {
        1..=PAYLOAD => quoted(&payload),
        _ => "@payload.json".into(),
    };
    let queue = &view.handle.partition.queue;
    let mut command = format!("poolder job enqueue {} {payload} --queue {queue}", quoted(kind));
    if matches!(view.lane, Lane::High | Lane::Low) {
        command += &format!(" --lane {}", view.lane.as_str());
    }
    if raw.version != 1 {
        command += &format!(" --version-of-payload {}", raw.version);
    }
    if let Some(policy) = view.own_policy() {
        command += &format!(" --attempts {}", policy.attempts);
    }
    for (name, value) in view.headers().iter() {
        command += &format!(" --header {}", quoted(&format!("{name}={value}")));
    }
    command
}
