//! The order of the jobs of several partitions, and which of them belong to the next page. Pure.

/// The place of a job in a listing of a whole queue: lane, two numbers that order the jobs of the
/// lane by time, partition, and the number of the job among those of its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) lane: usize,
    pub(super) time: i64,
    pub(super) count: u64,
    pub(super) index: u16,
    pub(super) number: u64,
}

/// The next jobs of one source, of which only places and sizes are known.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// The place and the bytes of each job, in order.
    pub(super) jobs: Vec<(Rank, usize)>,
    /// True when the source may have more jobs behind these.
    pub(super) more: bool,
}

/// The jobs of the next page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merged {
    /// How many of the first jobs of each source belong to the page.
    pub(super) counts: Vec<usize>,
    /// The source whose next jobs have to be known before the page can go on.
    pub(super) starved: Option<usize>,
}

/// Returns the first jobs of all sources together: at most `most` jobs and `bytes` bytes, but at
/// least one job if any is known.
pub(super) fn merge(sources: &[Heads], most: usize, bytes: usize) -> Merged {
    let each = sources.iter().enumerate();
    let mut all: Vec<(Rank, usize, usize)> = each
        .flat_map(|(at, source)| source.jobs.iter().map(move |(key, size)| (*key, *size, at)))
        .collect();
    all.sort_unstable_by_key(|(key, ..)| *key);
    let mut merged = Merged { counts: vec![0; sources.len()], starved: None };
    let (mut jobs, mut sum) = (0, 0_usize);
    for (_, size, at) in all {
        sum = sum.saturating_add(size);
        if jobs == most || (jobs > 0 && sum > bytes) {
            return merged;
        }
        jobs += 1;
        merged.counts[at] += 1;
        if merged.counts[at] == sources[at].jobs.len() && sources[at].more {
            merged.starved = (jobs < most).then_some(at);
            return merged;
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(index: u16, times: &[i64], more: bool) -> Heads {
        let key = |time: &i64| Rank { lane: 0, time: *time, count: 0, index, number: 0 };
        Heads { jobs: times.iter().map(|time| (key(time), 10)).collect(), more }
    }

    #[test]
    fn jobs_come_in_the_order_of_all_partitions() {
        let sources = [heads(0, &[1, 4, 5], false), heads(1, &[2, 3], false), heads(2, &[], false)];
        let merged = |most, bytes| merge(&sources, most, bytes);
        assert_eq!(merged(3, 1_000), Merged { counts: vec![1, 2, 0], starved: None });
        assert_eq!(merged(9, 1_000), Merged { counts: vec![3, 2, 0], starved: None });
        // At least one job, however large.
        assert_eq!(merged(9, 25).counts, [1, 1, 0]);
        assert_eq!(merged(9, 1).counts, [1, 0, 0]);
    }

    #[test]
    fn nothing_is_taken_behind_jobs_that_are_not_known_yet() {
        let sources = [heads(0, &[1, 2], true), heads(1, &[3, 9], true)];
        assert_eq!(merge(&sources, 9, 1_000), Merged { counts: vec![2, 0], starved: Some(0) });
        assert_eq!(merge(&sources, 2, 1_000), Merged { counts: vec![2, 0], starved: None });
        let sources = [heads(0, &[1, 2], false), heads(1, &[3, 9], true)];
        assert_eq!(merge(&sources, 9, 1_000), Merged { counts: vec![2, 2], starved: Some(1) });
    }

    #[test]
    fn jobs_of_one_moment_are_ordered_by_their_partitions() {
        let sources = [heads(3, &[7, 7], false), heads(1, &[7], false)];
        assert_eq!(merge(&sources, 1, 1_000).counts, [0, 1]);
    }
}
