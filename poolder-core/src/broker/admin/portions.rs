//! The portions in which scripts take jobs.

/// The most jobs of a portion.
const MAX_JOBS: usize = 50;
/// The approximate most bytes of the jobs of a portion, which may have one job in any case.
const MAX_BYTES: usize = 1 << 20;

/// Splits jobs into portions of at most 50 jobs and about 1 MiB, in their order. `bytes` returns the
/// size of a job.
pub(super) fn portions<T>(jobs: &[T], bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = jobs;
    std::iter::from_fn(move || {
        let mut sum = 0_usize;
        let fits = rest.iter().take(MAX_JOBS).take_while(|job| {
            sum = sum.saturating_add(bytes(job));
            sum <= MAX_BYTES
        });
        let (some, later) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = later;
        (!some.is_empty()).then_some(some)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_bounded_and_has_one_job_at_least() {
        let sizes = |jobs: &[usize]| -> Vec<usize> {
            portions(jobs, |bytes| *bytes).map(<[usize]>::len).collect()
        };
        assert_eq!(sizes(&[]), [0_usize; 0]);
        assert_eq!(sizes(&[1; 120]), [50, 50, 20]);
        let mib = 1 << 20;
        assert_eq!(sizes(&[mib, 1, mib, mib + 1, 1]), [1, 1, 1, 1, 1]);
        assert_eq!(sizes(&[mib / 2, mib / 2, 1]), [2, 1]);
        assert_eq!(sizes(&[usize::MAX, usize::MAX]), [1, 1]);
    }
}
