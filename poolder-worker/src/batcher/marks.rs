//! Marks for entries that failed, and the copies of these entries that the settlement uses.

use std::collections::BTreeMap;
use std::fmt;

use poolder_core::broker::{Effect, ListEnd};
use poolder_core::{BatchPayload, Cause, Error, Failure, JobId};

use super::chunk::chunk_len;
use crate::run::context::Context;

/// The number of attempts to set entries aside. A lost reply leaves open which entries were copied,
/// so each attempt starts with an empty list.
const MAX_ATTEMPTS: u32 = 3;

/// The fate of an entry that is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The entry is tried again.
    Retry,
    /// The entry is buried, as the handler has asked.
    Bury,
    /// The entry is buried, as it cannot be decoded.
    Unreadable,
}

/// The marks and their reasons, by the index of the entry.
#[derive(Debug, Default)]
pub(super) struct Marks(BTreeMap<u64, (Mark, String)>);

/// The failure of a batch some of whose entries are to be tried again.
#[derive(Debug)]
struct Left {
    entries: usize,
    of: u64,
    reasons: String,
}

impl Marks {
    pub(super) fn set(&mut self, index: u64, mark: Mark, reason: String) {
        self.0.insert(index, (mark, reason));
    }

    /// Maps the indexes of a batcher in reverse to positions in the sealed list.
    pub(super) fn reverse(&mut self, len: u64) {
        let marks = std::mem::take(&mut self.0);
        self.0 = marks.into_iter().map(|(index, mark)| (len - 1 - index, mark)).collect();
    }

    /// Copies the marked entries aside, and returns the effects by which the settlement takes them
    /// over. The result is an error when entries are to be tried again, or could not be copied.
    pub(super) async fn into_effects(
        self,
        cx: &Context,
        about: &BatchPayload,
        len: u64,
    ) -> (Vec<Effect>, Result<(), poolder_core::BoxError>) {
        let (again, dead): (Vec<_>, Vec<_>) =
            self.0.into_iter().partition(|(_, (mark, _))| *mark == Mark::Retry);
        let mut effects = vec![];
        if !dead.is_empty() {
            let part = part(cx, "dead");
            if let Err(error) = set_aside(cx, about, &part, &dead).await {
                return (vec![], Err(error.into()));
            }
            let unreadable = dead.iter().all(|(_, (mark, _))| *mark == Mark::Unreadable);
            let cause = if unreadable { Cause::Payload } else { Cause::Error };
            let failure = Failure::new(cause, reasons(&dead));
            effects.push(Effect::BuryEntries { part, id: JobId::generate(), failure });
        }
        if again.is_empty() {
            return (effects, Ok(()));
        }
        // When all entries are to be tried again, the sealed list stays as it is.
        if (again.len() as u64) < len {
            let part = part(cx, "left");
            if let Err(error) = set_aside(cx, about, &part, &again).await {
                return (vec![], Err(error.into()));
            }
            effects.push(Effect::KeepEntries(part));
        }
        let left = Left { entries: again.len(), of: len, reasons: reasons(&again) };
        (effects, Err(left.into()))
    }
}

/// Returns a name for a list of entries set aside. No other attempt uses the same name.
fn part(cx: &Context, what: &str) -> String {
    format!("{what}-{}-{}", cx.fence(), cx.attempt())
}

type Marked = (u64, (Mark, String));

/// Copies the marked entries into the list `part`, in their order and chunk by chunk. Starts again
/// after a lost or refused command.
async fn set_aside(
    cx: &Context,
    about: &BatchPayload,
    part: &str,
    marked: &[Marked],
) -> Result<(), Error> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match copy(cx, about, part, marked).await {
            Err(error) if attempts < MAX_ATTEMPTS && (error.is_unknown() || error.is_refused()) => {
                tracing::warn!(batch = %cx.id(), %error, "setting entries aside again");
            }
            result => return result,
        }
    }
}

async fn copy(
    cx: &Context,
    about: &BatchPayload,
    part: &str,
    marked: &[Marked],
) -> Result<(), Error> {
    let (broker, partition, id) = (cx.client().broker(), cx.partition(), cx.id());
    broker.set_aside_anew(partition, id, part).await?;
    let mut rest = marked;
    while let Some((first, _)) = rest.first() {
        let until = first + chunk_len(about) as u64;
        let near = &rest[..rest.partition_point(|(at, _)| *at < until)];
        let count = near.last().map_or(1, |(last, _)| last - first + 1);
        let count = usize::try_from(count).unwrap_or(1);
        let range = (*first, count);
        let mut found = broker.sealed_entries(partition, id, range, ListEnd::Front).await?;
        if found.is_empty() {
            return Err(Error::gone(format!("entries of batch {id} are gone")));
        }
        let until = first + found.len() as u64;
        let (near, far) = rest.split_at(rest.partition_point(|(at, _)| *at < until));
        let entries: Vec<Vec<u8>> = near
            .iter()
            .map(|(at, _)| std::mem::take(&mut found[usize::try_from(at - first).unwrap_or(0)]))
            .collect();
        broker.set_aside(partition, id, part, &entries).await?;
        rest = far;
    }
    Ok(())
}

/// Returns the reasons of the first entries, as far as they fit into a failure record, and the
/// number of the others.
fn reasons(marked: &[Marked]) -> String {
    let mut text = String::new();
    for (at, (index, (_, reason))) in marked.iter().enumerate() {
        if text.len() > Failure::MAX_MESSAGE / 2 {
            text.push_str(&format!("; and {} more", marked.len() - at));
            break;
        }
        let reason: String = reason.chars().take(200).collect();
        let separator = if at == 0 { "" } else { "; " };
        text.push_str(&format!("{separator}entry {index}: {reason}"));
    }
    text
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} entries failed: {}", self.entries, self.of, self.reasons)
    }
}

impl std::error::Error for Left {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_the_first_entries_and_counts_the_rest() {
        let marked = |count: u64| -> Vec<Marked> {
            (0..count).map(|at| (at, (Mark::Retry, "no".repeat(40)))).collect()
        };
        assert_eq!(reasons(&[(3, (Mark::Bury, "bad".into()))]), "entry 3: bad");
        let many = reasons(&marked(1_000));
        assert!(many.starts_with("entry 0: nono") && many.ends_with("more"), "{many}");
        assert!(many.len() < Failure::MAX_MESSAGE, "{}", many.len());
    }

    #[test]
    fn the_last_returned_is_the_first_of_the_list() {
        let mut marks = Marks::default();
        marks.set(0, Mark::Retry, "a".into());
        marks.set(3, Mark::Bury, "b".into());
        marks.reverse(10);
        assert_eq!(marks.0.keys().copied().collect::<Vec<_>>(), [6, 9]);
    }
}
