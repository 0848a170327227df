//! Jobs that wait in the groups of a limited queue: the one that a handle names, and those of an id.

use crate::broker::admin::find::Alive;
use crate::broker::admin::job_view::{grouped_view, shown};
use crate::broker::connection::reply;
use crate::broker::jobs::value::{read_value, value_call};
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Handle, Lane, MAX_STORED, Place};
use crate::stored::{group_field, read_group_field};
use crate::view::JobView;

/// The most jobs that one search of the groups of a queue examines.
const MAX_SEARCHED: i64 = 10_000;
/// The most jobs that one call of `search_groups.lua` examines.
const MAX_STEP: i64 = 500;
/// The most calls of a search.
const MAX_CALLS: usize = 40;

impl Broker {
    /// Reads the job that waits under this number in a group. Returns `None` when it is not there, or
    /// another job is.
    pub(in crate::broker) async fn look_at_group(
        &self,
        handle: &Handle,
        (group, number): (&str, u64),
    ) -> Result<Option<JobView>, Error> {
        let keys = self.keys(&handle.partition);
        let value =
            value_call(&keys.limits.jobs, &group_field(group.as_bytes(), number), MAX_STORED);
        let Some(value) = read_value(self.command(&value).await?)? else { return Ok(None) };
        let place = (number, group.as_bytes().to_vec());
        let view = shown(value, |value| grouped_view(&handle.partition, &keys, place, value));
        Ok((view.id() == handle.job).then_some(view))
    }

    /// Searches the groups for jobs of an id: among up to 10,000 jobs that wait.
    pub(in crate::broker) async fn search_groups(&self, handle: &Handle) -> Result<Alive, Error> {
        let keys = self.keys(&handle.partition);
        let (mut from, mut left) = ("0".to_owned(), MAX_SEARCHED);
        let mut alive = Alive::default();
        for _ in 0..MAX_CALLS {
            let mut cmd = scripts::call(&scripts::SEARCH_GROUPS, [keys.limits.jobs.as_str()]);
            cmd.arg(handle.job.as_bytes()).arg(&from).arg(MAX_STEP.min(left));
            let mut reply = reply::array(self.command(&cmd).await?)?.into_iter();
            from = reply::text(reply.next().unwrap_or_default())?;
            left -= reply::int(reply.next().unwrap_or_default())?.max(1);
            for field in reply {
                let Some((number, group)) = read_group_field(&reply::bytes(field)?) else {
                    continue;
                };
                // The job may have started meanwhile; the search does not follow it.
                let group = String::from_utf8_lossy(&group);
                alive.jobs.extend(self.look_at_group(handle, (&group, number)).await?);
            }
            if from == "0" || left <= 0 {
                break;
            }
        }
        alive.is_partial = from != "0";
        Ok(alive)
    }
}

/// Returns the words that name the place of a job to the scripts that change it: that of the place,
/// and the entry in a lane or the field in a group. A job in the lane front or suspect may hold a
/// permit.
pub(in crate::broker) fn waits_at(place: Option<&Place>) -> (&'static str, Vec<u8>) {
    match place {
        Some(Place::Entry(Lane::Front | Lane::Suspect, entry)) => {
            ("admitted", entry.as_bytes().to_vec())
        }
        Some(Place::Entry(_, entry)) => ("lane", entry.as_bytes().to_vec()),
        Some(Place::Group(group, number)) => ("group", group_field(group.as_bytes(), *number)),
        Some(Place::Dead) => ("dead", vec![]),
        _ => ("due", vec![]),
    }
}

/// Returns the keys of the limits for the call of a script that changes jobs which wait in a group or
/// may hold a permit; none for other places.
pub(in crate::broker) fn keys_of<'a>(
    place: &str,
    keys: &'a PartitionKeys,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let limited = matches!(place, "group" | "admitted");
    keys.limits.all().into_iter().filter(move |_| limited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobId, QueueName};

    #[test]
    fn a_job_in_a_group_has_its_field_as_its_place_and_one_in_front_may_hold_a_permit() {
        let group = Place::Group("acme".into(), 1_000_000_000);
        assert_eq!(waits_at(Some(&group)).0, "group");
        assert_eq!(waits_at(Some(&group)).1.len(), 9);
        let place = |lane| waits_at(Some(&Place::Entry(lane, "7-0".into()))).0;
        assert_eq!(Lane::ALL.map(place), ["admitted", "admitted", "lane", "lane", "lane"]);
        let queue = QueueName::new("mail").unwrap();
        let handle = Handle::new(queue, JobId::from_bytes([7; 16]));
        assert_eq!(waits_at(handle.place.as_ref()), ("due", vec![]));
    }
}
