//! Draws settings: mostly extreme ones, and some that are forbidden.

use std::time::Duration;

use poolder::{Backoff, Durability, Lane, Policy, Timestamp};

use crate::random::Random;

/// One setting in this many is forbidden, in percent.
const FORBIDDEN: u64 = 4;
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Draws the settings of one call.
pub(super) struct Draw {
    pub(super) random: Random,
    /// The first forbidden setting that was drawn.
    pub(super) forbidden: Option<String>,
}

impl Draw {
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let random = Random::new(seed ^ number.wrapping_mul(0xA076_1D64_78BD_642F), 7);
        Self { random, forbidden: None }
    }

    /// Returns true in a few cases, in which the caller uses a forbidden setting of this name.
    pub(super) fn forbid(&mut self, setting: &str) -> bool {
        let forbid = self.random.percent(FORBIDDEN);
        if forbid {
            self.forbidden.get_or_insert_with(|| setting.to_owned());
        }
        forbid
    }

    pub(super) fn duration(&mut self) -> Duration {
        self.random.pick(&[
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(1),
            Duration::from_millis(999),
            HOUR,
            10 * YEAR,
            10 * YEAR + Duration::from_millis(1),
            100 * YEAR,
            Duration::from_millis(u64::MAX),
            Duration::MAX,
        ])
    }

    /// Returns a duration of at least 1 ms.
    pub(super) fn kept(&mut self) -> Duration {
        self.duration().max(Duration::from_millis(1))
    }

    /// Returns a duration that is over soon, or one of at least an hour.
    pub(super) fn duration_if(&mut self, long: bool) -> Duration {
        loop {
            let drawn = self.duration();
            if (drawn >= HOUR) == long {
                return drawn;
            }
        }
    }

    /// Returns a moment that is past, or that is far away.
    pub(super) fn moment(&mut self, far: bool) -> Timestamp {
        if far {
            let year = Timestamp::now() + YEAR;
            self.random.pick(&[Timestamp::from_millis(i64::MAX), year, year + 1_000 * YEAR])
        } else {
            let past = [i64::MIN, -1, 0, 1];
            Timestamp::from_millis(self.random.pick(&past))
        }
    }

    pub(super) fn lane(&mut self) -> Lane {
        if self.forbid("lane") {
            return self.random.pick(&[Lane::Front, Lane::Suspect]);
        }
        self.random.pick(&[Lane::High, Lane::Normal, Lane::Low])
    }

    /// Returns this queue, or the name of an illegal one.
    pub(super) fn queue(&mut self, legal: &str) -> String {
        if self.forbid("queue") {
            let long = "q".repeat(65);
            return self.random.pick(&["", " ", "a b", "a:b", "{odd}", "odd\n", "ö", &long]).into();
        }
        legal.to_owned()
    }

    /// Returns a name of any characters, unique by the number.
    pub(super) fn name(&mut self, number: u64) -> String {
        let long = "x".repeat(10_000);
        let odd = ["", " ", "\0", "\r\n", "{0}", "ö", "🦀", "*", "'\"", &long];
        format!("{}{number}", self.random.pick(&odd))
    }

    /// Returns a legal name of 1 to `most` characters, or an illegal one.
    pub(super) fn checked_name(&mut self, number: u64, most: usize) -> String {
        if self.forbid("name") {
            let long = "n".repeat(most + 1);
            return self.random.pick(&["", " ", "a b", "ö", "\0", "a*", &long]).into();
        }
        let number = number.to_string();
        let length = self.random.pick(&[number.len(), most / 2, most]).max(number.len());
        "n".repeat(length - number.len()) + &number
    }

    pub(super) fn durability(&mut self) -> Durability {
        if self.forbid("durability") {
            let timeout =
                self.random.pick(&[Duration::ZERO, Duration::from_nanos(1), Duration::MAX]);
            return self.random.pick(&[
                Durability::Fsynced { replicas: 0, timeout },
                Durability::Replicated { replicas: 1, timeout },
                Durability::Replicated { replicas: 0, timeout: Duration::from_secs(1) },
            ]);
        }
        if self.random.percent(10) { Durability::fsynced() } else { Durability::Memory }
    }

    /// Returns a policy. Its timeout ends no handler, and it has no limit on retries in time.
    pub(super) fn policy(&mut self) -> Policy {
        let mut policy = Policy::default().attempts(self.random.pick(&[1, 2, u32::MAX]));
        if self.forbid("attempts") {
            policy.attempts = 0;
        }
        policy.backoff = self.backoff();
        policy.timeout = self.random.pick(&[None, Some(HOUR), Some(Duration::MAX)]);
        if self.forbid("timeout") {
            policy.timeout = Some(Duration::ZERO);
        }
        policy.retry_for = self.random.pick(&[None, Some(Duration::MAX)]);
        policy.crashes = self.random.pick(&[50, u32::MAX]);
        if self.forbid("crashes") {
            policy.crashes = self.random.pick(&[0, 1]);
        }
        policy
    }

    fn backoff(&mut self) -> Backoff {
        if self.forbid("list of waits") {
            return Backoff::List(vec![Duration::ZERO; self.random.pick(&[0, 65])]);
        }
        let (one, other) = (self.duration(), self.duration());
        match self.random.between(0, 4) {
            0 => Backoff::Polynomial,
            1 => Backoff::Exponential { base: one, cap: other },
            2 => Backoff::Linear { step: one, cap: other },
            3 => Backoff::Fixed(one),
            _ => Backoff::List(vec![one; self.random.pick(&[1, 2, 64])]),
        }
    }
}
