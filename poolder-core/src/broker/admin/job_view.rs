//! Builds the [`JobView`] of a job from its body in `due`, or from the record of its end.

use std::time::Duration;

use crate::broker::connection::reply::entry_time;
use crate::broker::jobs::value::StoredValue;
use crate::broker::keys::PartitionKeys;
use crate::job::{Cause, Failure, Handle, JobState, Lane, Partition, Place, Timestamp};
use crate::policy::Counters;
use crate::stored::{
    Entry, Finish, id_of_unreadable, read_dead, read_finished, read_grouped, read_waiting,
};
use crate::view::{Content, JobEnd, JobView};

/// Builds the view of an entry: of a running job when `held` names its consumer, else of a waiting
/// job.
pub(in crate::broker) fn view(
    partition: &Partition,
    entry: Entry,
    held: Option<(String, Timestamp)>,
) -> JobView {
    let (lane, id) = entry.key();
    let entered = entry_time(id).unwrap_or_default();
    let place = Some(Place::Entry(lane, id.clone()));
    let (state, node, at) = match held {
        Some((node, since)) => (JobState::Running, Some(node), since),
        None => (JobState::Ready, None, entered),
    };
    let (job, counters, failure, content) = match entry {
        Entry::Job(claim) => {
            let (job, counters) = (claim.job_id(), claim.counters);
            let content = match claim.plain {
                Some(text) => Content::Plain(text, claim.envelope),
                None => Content::Job(claim.envelope),
            };
            (job, counters, None, content)
        }
        Entry::Undecodable(found) => {
            (found.id, Counters::default(), Some(found.reason), Content::Raw(found.raw))
        }
    };
    let handle = Handle { partition: partition.clone(), job, place };
    let (end, cancelling) = (None, false);
    JobView { handle, state, lane, at, node, end, counters, cancelling, failure, content }
}

/// Builds the view of a body, or of its beginning: such a job is shown as raw bytes, so that no
/// operation takes the beginning for the whole.
pub(in crate::broker) fn shown(
    body: StoredValue,
    view: impl FnOnce(Vec<u8>) -> JobView,
) -> JobView {
    if body.is_whole() {
        return view(body.read);
    }
    let mut view = view(body.read.clone());
    view.content = Content::Beginning(body.read);
    let bytes = body.bytes;
    let why = format!("the stored job has {bytes} bytes, of which only the beginning was read");
    view.failure = view.failure.or(Some(Failure::new(Cause::Undecodable, why)));
    view
}

/// Builds the view of a job that waits in a group. A value that cannot be read is shown as raw bytes,
/// with the reason. The time of the view is that of its id or generation, since none is stored.
pub(in crate::broker) fn grouped_view(
    partition: &Partition,
    keys: &PartitionKeys,
    (number, group): (u64, Vec<u8>),
    value: Vec<u8>,
) -> JobView {
    let place = Some(Place::Group(String::from_utf8_lossy(&group).into(), number));
    let (job, counters, failure, content) = match read_grouped(value) {
        Ok((counters, envelope)) => (envelope.id(), counters, None, Content::Job(envelope)),
        Err((reason, raw)) => {
            let id = id_of_unreadable(&keys.limits.jobs, number);
            (id, Counters::default(), Some(reason), Content::Raw(raw))
        }
    };
    let at = counters.generation().or(job.generated_at()).unwrap_or_default();
    let (lane, state) = (counters.home(), JobState::Ready);
    let handle = Handle { partition: partition.clone(), job, place };
    let (node, end, cancelling) = (None, None, false);
    JobView { handle, state, lane, at, node, end, counters, cancelling, failure, content }
}

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
    let state = if counters.failures > 0 { JobState::Retrying } else { JobState::Scheduled };
    let handle = Handle { place: Some(Place::Due(at)), ..handle.clone() };
    let (node, end, cancelling) = (None, None, false);
    JobView { handle, state, lane, at, node, end, counters, cancelling, failure, content }
}

/// Builds the view of a dead job.
pub(in crate::broker) fn dead_view(handle: &Handle, record: Vec<u8>, at: Timestamp) -> JobView {
    let dead = read_dead(record);
    let lane = dead.counters.home();
    let (death, counters) = (dead.death, dead.counters);
    JobView {
        handle: Handle { place: Some(Place::Dead), ..handle.clone() },
        state: JobState::Dead,
        lane,
        at,
        node: (!death.node.is_empty()).then_some(death.node),
        end: None,
        counters,
        cancelling: false,
        failure: Some(death.failure),
        content: match dead.envelope {
            Ok(envelope) => Content::Job(envelope),
            Err(raw) => Content::Raw(raw),
        },
    }
}

/// Builds the view of a finished job that is kept. A record that cannot be read is shown as raw bytes,
/// with the reason.
pub(in crate::broker) fn finished_view(handle: &Handle, record: Vec<u8>, at: Timestamp) -> JobView {
    let handle = Handle { place: None, ..handle.clone() };
    let (finish, lane, counters, failure, content) = match read_finished(&record) {
        Ok((finish, lane, counters, envelope)) => {
            (finish, lane, counters, None, Content::Job(envelope))
        }
        Err(error) => {
            let reason = Failure::new(Cause::Undecodable, error.to_string());
            let (finish, counters) = (Finish::default(), Counters::default());
            (finish, Lane::Normal, counters, Some(reason), Content::Raw(record))
        }
    };
    let state = if finish.reason.is_some() { JobState::Cancelled } else { JobState::Completed };
    let node = (!finish.node.is_empty()).then_some(finish.node);
    let end = Some(JobEnd { took: Duration::from_millis(finish.took), reason: finish.reason });
    JobView { handle, state, lane, at, node, end, counters, cancelling: false, failure, content }
}
