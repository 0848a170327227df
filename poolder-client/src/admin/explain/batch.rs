//! Explains why the entries of a batcher's group do not run yet.

use std::time::Duration;

use futures_util::future::try_join3;
use poolder_core::broker::BatcherHome;
use poolder_core::{Error, QueueName, Timestamp};

use crate::admin::explain::checks::{Checks, explained as explained_as};
use crate::admin::explain::explanation::{Explanation, Why};
use crate::admin::explain::waiting::OVERDUE;
use crate::admin::words::{many, span, when};
use crate::client::Client;

/// The list of a group, as it was read.
#[derive(Debug)]
struct ListSeen {
    now: Timestamp,
    /// The number of entries that gather, and the time of the first.
    gathers: Option<(u64, Timestamp)>,
    limit: u64,
    timeout: Option<Duration>,
    leader: Option<String>,
}

impl Client {
    /// Explains why the entries of a batcher's group do not run yet: how many gather of the limit,
    /// and when the list is sealed. An empty `group` means the entries without one. A list that was
    /// sealed is a job, which [`JobClient::explain`](crate::JobClient::explain) explains.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name, [`Error::is_not_found`] for a batcher that was
    /// never declared; also returns an error when the server does not answer or refuses a read.
    pub async fn explain_batch(
        &self,
        queue: impl AsRef<str>,
        batcher: impl AsRef<str>,
        group: impl AsRef<str>,
    ) -> Result<Explanation, Error> {
        let home = BatcherHome::new(queue.as_ref(), batcher.as_ref())?;
        let group = group.as_ref();
        poolder_core::broker::check_group(group)?;
        let broker = self.broker();
        let (options, (open, now), overview) = try_join3(
            broker.batcher_options(&home),
            broker.open_batch(&home, group),
            broker.overview(home.partition()),
        )
        .await?;
        let seen = ListSeen {
            now,
            gathers: open.filter(|open| open.len > 0).map(|open| (open.len, open.since)),
            limit: u64::from(options.limit),
            timeout: options.timeout,
            leader: overview.state.leader.map(|leader| leader.node),
        };
        let of_group = if group.is_empty() { String::new() } else { format!(", group {group}") };
        let subject = format!("entries of batcher {}{of_group}", home.name());
        Ok(explained(subject, home.partition().queue.clone(), &seen))
    }
}

fn explained(subject: String, queue: QueueName, seen: &ListSeen) -> Explanation {
    let mut checks = Checks::default();
    check(seen, &mut checks);
    explained_as(subject, (Some(queue), None, None), checks)
}

fn check(seen: &ListSeen, checks: &mut Checks) {
    let Some((len, since)) = seen.gathers else {
        let text = "no entries gather: those that were pushed are sealed, and their batch is a job";
        checks.fail("gathers", LIST, (Why::NotFound, text.into()), None, None);
        return;
    };
    let fill = format!(
        "{len} of {} gather, the first {}",
        many(seen.limit, "entry"),
        when(since, seen.now)
    );
    let Some(timeout) = seen.timeout else {
        let text = format!("{fill}; the list is sealed when it is full or flushed");
        let hint = "the batcher has no timeout: flush the group if its entries must run now";
        checks.fail("gathers", LIST, (Why::Gathering, text), None, Some(hint.into()));
        return;
    };
    let sealed = since + timeout;
    if sealed > seen.now {
        let text =
            format!("{fill}; the list is sealed {}, or when it is full", when(sealed, seen.now));
        checks.fail("gathers", LIST, (Why::Gathering, text), Some(sealed), None);
        return;
    }
    checks.pass("gathers", LIST, fill);
    let late = seen.now.since(sealed);
    match (&seen.leader, late > OVERDUE) {
        (Some(leader), false) => {
            checks.pass("sealed", LEADER, format!("its time is up, and node {leader} leads"));
        }
        (leader, _) => {
            let who = match leader {
                Some(leader) => format!("node {leader}, which leads, has not sealed it"),
                None => "no node leads the queue and seals it".into(),
            };
            let text = format!("its time was up {} ago, and {who}", span(late));
            let hint = "start a node that serves the queue, or flush the group";
            checks.fail("sealed", LEADER, (Why::Overdue, text), None, Some(hint.into()));
        }
    }
}

const LIST: &str = "HGET batch:open, LLEN batch:fill";
const LEADER: &str = "GET leader";
