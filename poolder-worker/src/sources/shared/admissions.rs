//! Knows whether a claim of a limited queue would find jobs that may start.

use poolder_core::broker::Admission;

/// The last findings of claims of a limited queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Admissions {
    /// True when a suspect waits to be claimed.
    pub(super) suspects: bool,
    /// True when the last claim has found all that may start: the next one waits for a token.
    pub(super) exhausted: bool,
    /// True when a token came since the last claim.
    pub(super) woken: bool,
}

impl Admissions {
    /// Notes a claim of up to `asked` jobs that has brought `got`.
    pub(super) fn claimed(&mut self, admission: Admission, asked: usize, got: usize) {
        let exhausted = got < asked && !admission.more;
        *self = Self { suspects: admission.suspects > 0, exhausted, woken: false };
    }

    /// Notes a claim of the lane of the suspects. The next claim tells whether it has left any.
    pub(super) fn claimed_suspect(&mut self) {
        (self.suspects, self.exhausted) = (false, false);
    }

    /// Notes the end of a wait.
    pub(super) fn waited(&mut self, woken: bool) {
        (self.exhausted, self.woken) = (false, woken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_brings_too_little_has_found_all_unless_it_says_otherwise() {
        let mut known = Admissions::default();
        assert!(!known.exhausted, "the first claim looks");
        let mut admission = Admission::default();
        known.claimed(admission, 8, 8);
        assert!(!known.exhausted);
        known.claimed(admission, 8, 7);
        assert!(known.exhausted);
        admission.more = true;
        known.claimed(admission, 8, 0);
        assert!(!known.exhausted, "there was more to look at");
    }

    #[test]
    fn a_token_counts_for_one_claim() {
        let mut known = Admissions { exhausted: true, ..Admissions::default() };
        known.waited(true);
        assert_eq!((known.exhausted, known.woken), (false, true));
        known.claimed(Admission::default(), 1, 1);
        assert!(!known.woken);
    }
}
