//! Jobs as arguments: a handle, a queue with an id or an own id, or an id alone.

use std::time::Duration;

use futures_util::future::try_join_all;
use poolder_client::{Budget, Client};
use poolder_core::view::{Filter, JobView, Listing};
use poolder_core::{Handle, JobId, QueueName};

use crate::failure::Failure;

/// A job as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Written {
    /// A handle, or an id in a queue.
    Handle(Handle),
    /// An id alone.
    Id(JobId),
    /// The beginning of an id, in one queue or in all.
    Prefix(Option<String>, String),
}

/// The number of digits that the beginning of an id has at least.
const PREFIX: usize = 8;

/// Reads the text of a job. `queue/text` is a job with an own id, unless the text is an id or looks
/// like the beginning of one.
fn read(text: &str) -> Result<Written, Failure> {
    if let Ok(job) = text.parse::<JobId>() {
        return Ok(Written::Id(job));
    }
    if is_prefix(text) {
        return Ok(Written::Prefix(None, text.to_owned()));
    }
    let handle = text.parse::<Handle>();
    let Some((queue, rest)) = text.split_once('/').filter(|(_, rest)| !rest.is_empty()) else {
        return Err(Failure::not_understood(format!("{text:?} does not name a job"))
            .hint("write a handle such as mail.0/019e…, queue/id, queue/own-id, or an id"));
    };
    match (handle, rest.parse::<JobId>()) {
        (Ok(handle), _) => Ok(Written::Handle(handle)),
        // A partition with a form or a place that is not known is no queue of that name.
        (Err(error), _) if queue.contains('.') && rest.split('/').next().is_some_and(is_id) => {
            Err(error.into())
        }
        (Err(_), Ok(job)) => Ok(Written::Handle(job.in_queue(queue)?)),
        (Err(_), Err(_)) if is_prefix(rest) => {
            Ok(Written::Prefix(Some(queue.to_owned()), rest.to_owned()))
        }
        (Err(_), Err(_)) => Ok(Written::Handle(Handle::named(queue, rest)?)),
    }
}

/// Returns true for a text of eight or more digits of an id, with its hyphens.
fn is_prefix(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_hexdigit).count();
    let legal = |c: char| matches!(c, '0'..='9' | 'a'..='f' | '-');
    (PREFIX..32).contains(&digits) && text.chars().all(legal)
}

fn is_id(text: &str) -> bool {
    text.parse::<JobId>().is_ok()
}

/// Returns the handle of the job that the text names. An id alone is looked for in all queues.
pub(super) async fn resolve(client: &Client, text: &str) -> Result<Handle, Failure> {
    seen(client, text).await.map(|(handle, _)| handle)
}

/// Returns the handle of the job that the text names, and the job if it was read to find it.
pub(super) async fn seen(
    client: &Client,
    text: &str,
) -> Result<(Handle, Option<JobView>), Failure> {
    let found = match read(text)? {
        Written::Handle(handle) => return Ok((handle, None)),
        Written::Id(job) => {
            let sighting = client.find(job).await?;
            let Some(view) = sighting.job else {
                let ended = sighting.ended.map(|end| Handle::new(end.partition.queue, job));
                return ended.map(|end| (end, None)).ok_or_else(|| missing(&job.to_string()));
            };
            view
        }
        Written::Prefix(queue, prefix) => begins(client, queue.as_deref(), &prefix).await?,
    };
    Ok((found.handle.clone(), Some(found)))
}

/// Finds the one job whose id begins so, among the jobs that a search of each listing looks at.
async fn begins(client: &Client, queue: Option<&str>, prefix: &str) -> Result<JobView, Failure> {
    let queues = match queue {
        Some(queue) => vec![QueueName::new(queue)?],
        None => client.queues().await?,
    };
    let filter: &Filter = &format!("id={prefix}").parse()?;
    let read = client.read_together(|client| async move {
        let places = queues.iter().flat_map(|queue| LISTINGS.map(|listing| (queue, listing)));
        let search = |(queue, listing)| {
            let queue = client.inspect(queue);
            let budget = Budget::jobs(MOST).time(SEARCH);
            async move { queue.find_where(listing, filter, None, budget).await }
        };
        try_join_all(places.map(search)).await
    });
    let found: Vec<JobView> = read.await?.into_iter().flat_map(|found| found.jobs).collect();
    match found.as_slice() {
        [] => Err(missing(prefix)),
        [one] => Ok(one.clone()),
        several => {
            let ids = several.iter().take(MOST).map(|job| job.handle.to_string());
            let text = format!("several jobs have ids that begin with {prefix}");
            Err(Failure::not_understood(text).hint(ids.collect::<Vec<_>>().join(" ")))
        }
    }
}

/// The listings in which the beginning of an id is searched.
const LISTINGS: [Listing; 4] = [Listing::Running, Listing::Ready, Listing::Due, Listing::Dead];
/// The time of the search for the beginning of an id, in all listings together.
const SEARCH: Duration = Duration::from_millis(200);
/// The most jobs of one listing among which the beginning of an id is ambiguous.
const MOST: usize = 5;

/// Returns the failure for a job of which there is no trace.
pub(super) fn missing(job: &str) -> Failure {
    Failure::not_found(format!("job {job} was not found")).hint(
        "it may have ended without a record, or wait behind more jobs than a search looks at: \
         name its queue, as queue/id",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_a_handle_an_id_in_a_queue_an_own_id_or_an_id() {
        let id = "019e3c7a-5b1f-7000-8000-00000000002a";
        let job: JobId = id.parse().unwrap();
        assert_eq!(read(id).unwrap(), Written::Id(job));
        let handle: Handle = format!("mail.0/{id}/dead").parse().unwrap();
        assert_eq!(read(&handle.to_string()).unwrap(), Written::Handle(handle));
        let in_queue = job.in_queue("mail").unwrap();
        assert_eq!(read(&format!("mail/{id}")).unwrap(), Written::Handle(in_queue));
        let named = Handle::named("mail", "welcome/9").unwrap();
        assert_eq!(read("mail/welcome/9").unwrap(), Written::Handle(named));
        let dotted = Handle::named("mail.eu", "welcome-9").unwrap();
        assert_eq!(read("mail.eu/welcome-9").unwrap(), Written::Handle(dotted));
        for bad in [
            "",
            "mail",
            "mail/",
            "not a name/x",
            &format!("mail.0a/{id}"),
            &format!("mail.0/{id}/nowhere"),
        ] {
            let failure = read(bad).unwrap_err();
            assert_eq!(failure.exit, crate::failure::Exit::NotUnderstood, "{bad}");
        }
    }
}
