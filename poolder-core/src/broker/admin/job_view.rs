//! Builds the [`JobView`] of a job from its body in `due` or from its dead record.

use crate::job::{Cause, Failure, Handle, Lane, Place, State, Timestamp};
use crate::policy::Counters;
use crate::stored::{read_dead, read_waiting};
use crate::view::{Content, JobView};

/// Builds the view of a job that waits for its time. A body that cannot be read is shown as raw
/// bytes, with the reason.
pub(in crate::broker) fn waiting_view(handle: &Handle, body: Vec<u8>, at: Timestamp) -> JobView {
    let (lane, counters, failure, content) = match read_waiting(&body) {
        Ok((lane, counters, envelope)) => (lane, counters, None, Content::Job(envelope)),
        Err(error) => {
            let reason = Failure::new(Cause::Undecodable, error.to_string());
            (Lane::Normal, Counters::default(), Some(reason), Content::Raw(body))
        }
    };
    let state = if counters.failures > 0 { State::Retrying } else { State::Scheduled };
    let handle = Handle { place: Some(Place::Due(at)), ..handle.clone() };
    JobView { handle, state, lane, at, node: None, counters, cancelling: false, failure, content }
}

/// Builds the view of a dead job.
pub(in crate::broker) fn dead_view(handle: &Handle, record: Vec<u8>, at: Timestamp) -> JobView {
    let dead = read_dead(record);
    let lane = dead.counters.home();
    let (death, counters) = (dead.death, dead.counters);
    JobView {
        handle: Handle { place: Some(Place::Dead), ..handle.clone() },
        state: State::Dead,
        lane,
        at,
        node: (!death.node.is_empty()).then_some(death.node),
        counters,
        cancelling: false,
        failure: Some(death.failure),
        content: match dead.envelope {
            Ok(envelope) => Content::Job(envelope),
            Err(raw) => Content::Raw(raw),
        },
    }
}
