//! Remembers the entries that rescues have given up. Each further rescue tries them again, and says
//! nothing about it for an hour.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use poolder_core::Partition;
use tokio::time::Instant;

use super::mailbox::EntryKey;

/// The least time between the log lines of an entry.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Limits how many entries are remembered. Beyond it the entry that was noted first is forgotten.
const MAX_ENTRIES: usize = 1_000;

/// The entries that rescues have given up, and when that was logged.
#[derive(Default)]
pub(crate) struct GivenUpEntries {
    noted: Mutex<HashMap<(Partition, EntryKey), Instant>>,
}

impl GivenUpEntries {
    /// Returns true when it was logged less than an hour ago that the entry was given up. If it was
    /// not, and is given up now, the entry is noted.
    pub(super) fn knew(&self, partition: &Partition, entry: &EntryKey, gives_up: bool) -> bool {
        let key = (partition.clone(), entry.clone());
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&key).is_some_and(|at| at.elapsed() < INTERVAL) {
            return true;
        }
        if gives_up {
            if noted.len() >= MAX_ENTRIES {
                let first = noted.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
                first.map(|key| noted.remove(&key));
            }
            noted.insert(key, Instant::now());
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use poolder_core::{Lane, QueueName};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_entry_is_known_for_an_hour_and_as_one_of_a_thousand() {
        let (all, partition) =
            (GivenUpEntries::default(), Partition::first(QueueName::new("q").unwrap()));
        let entry = |number: usize| (Lane::Normal, format!("{number}-0").as_str().into());
        assert!(!all.knew(&partition, &entry(0), false));
        assert!(!all.knew(&partition, &entry(0), true));
        tokio::time::advance(INTERVAL - Duration::from_secs(1)).await;
        assert!(all.knew(&partition, &entry(0), true));
        assert!(!all.knew(&partition, &(Lane::Front, "0-0".into()), false));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!all.knew(&partition, &entry(0), false));
        for number in 1..=MAX_ENTRIES {
            assert!(!all.knew(&partition, &entry(number), true));
        }
        assert_eq!(all.noted.lock().unwrap().len(), MAX_ENTRIES);
        assert!(all.knew(&partition, &entry(1), false));
        assert!(all.knew(&partition, &entry(1_000), false));
    }
}
