//! The number of jobs that a change would concern, as far as a bounded look can tell.

use futures_util::future::join_all;
use poolder_client::Budget;
use poolder_core::view::{Filter, JobView, Listing, QueueView};
use poolder_core::{QueueName, Timestamp};

use crate::page::listing;
use crate::request::{Context, Fault, Fields};
use crate::show::{many, number};

/// The number of jobs that a question shows.
const SHOWN: usize = 10;
/// The most jobs, and the most entries, that a look reads.
const FOUND: usize = 500;
const ENTRIES: u64 = 4_000;
/// The most lists that a look reads.
const LISTS: usize = 20;

/// The jobs that a change would concern, as far as a bounded look can tell.
#[derive(Debug, Default)]
pub(in crate::page) struct Count {
    /// The number of jobs that satisfy the conditions, among those that were looked at.
    pub(in crate::page) matched: u64,
    pub(in crate::page) looked_at: u64,
    /// The number of jobs of the lists.
    pub(in crate::page) of: u64,
    /// True when all jobs of the lists were looked at.
    pub(in crate::page) is_exact: bool,
    /// The first jobs that satisfy the conditions.
    pub(in crate::page) first: Vec<JobView>,
    pub(in crate::page) now: Timestamp,
}

impl Count {
    /// Returns the most jobs that may be changed.
    pub(in crate::page) fn most(&self) -> u64 {
        if self.is_exact { self.matched } else { self.of }
    }
}

/// Counts the jobs of some lists that satisfy a filter.
pub(in crate::page) async fn count(
    context: &Context,
    parts: &[(QueueName, Listing)],
    filter: &Filter,
) -> Result<Count, Fault> {
    let client = &context.shared.client;
    let views: Vec<QueueView> = match parts {
        [(one, _)] => vec![client.inspect(one).overview().await?],
        _ => client.overview().await?,
    };
    let mut sum = Count {
        is_exact: true,
        now: views.iter().map(|view| view.now).max().unwrap_or_default(),
        ..Count::default()
    };
    let sized = parts.iter().filter_map(|(queue, listing)| {
        let view = views.iter().find(|view| view.queue == *queue)?;
        Some((queue, *listing, listing::count(view, *listing)))
    });
    let mut lists: Vec<_> = sized.filter(|(.., size)| *size > 0).collect();
    lists.sort_by_key(|(.., size)| std::cmp::Reverse(*size));
    sum.of = lists.iter().map(|(.., size)| size).sum();
    let is_any = filter.is_any();
    let looked_into = &lists[..lists.len().min(LISTS)];
    let entries = ENTRIES / looked_into.len().max(1) as u64;
    let looks = looked_into.iter().map(|(queue, listing, _)| {
        let budget = Budget::jobs(if is_any { SHOWN } else { FOUND }).entries(entries);
        let inspector = client.inspect(queue);
        async move { inspector.find_where(*listing, filter, None, budget).await }
    });
    for found in join_all(looks).await {
        let found = found?;
        sum.matched += found.jobs.len() as u64;
        sum.looked_at += found.looked_at;
        sum.is_exact &= found.next.is_none() && found.unreachable.is_empty();
        let room = SHOWN.saturating_sub(sum.first.len());
        sum.first.extend(found.jobs.into_iter().take(room));
    }
    sum.is_exact &= lists.len() == looked_into.len();
    if is_any {
        (sum.matched, sum.looked_at, sum.is_exact) = (sum.of, sum.of, true);
    }
    Ok(sum)
}

/// Returns the reason why a question is asked once more: there are more jobs than it has named.
/// Where they could not be counted, the lists may have grown by a tenth.
pub(in crate::page) fn grown(fields: &Fields, now: &Count) -> Option<String> {
    let named: u64 = fields.get("count").parse().unwrap_or(0);
    let most = if now.is_exact { named } else { named.saturating_add(named / 10) };
    (now.most() > most).then(|| {
        format!(
            "There were {}, and now there are {}. Nothing was changed.",
            many(named, "job"),
            number(now.most())
        )
    })
}
