//! Random numbers that follow from a seed (splitmix64), so that a run can be repeated.

/// A generator of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Creates the generator for one purpose of a run. Generators of different purposes are
    /// independent of each other.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut random = Self(seed ^ purpose.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high.saturating_sub(low) + 1)
    }

    /// Returns one of the elements.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let last = of.len().saturating_sub(1) as u64;
        of[usize::try_from(self.between(0, last)).unwrap_or(0)]
    }

    /// Returns true with this probability, in percent.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.between(0, 99) < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let draw = |seed, purpose| {
            let mut random = Random::new(seed, purpose);
            [random.between(5, 9), random.between(5, 9), random.next()]
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        let mut random = Random::new(7, 0);
        let drawn: Vec<u64> = (0..200).map(|_| random.between(5, 9)).collect();
        assert!((5..=9).all(|number| drawn.contains(&number)));
        assert!(drawn.iter().all(|number| (5..=9).contains(number)));
    }
}
