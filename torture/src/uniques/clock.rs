//! The clock of the server, whose jumps are among the faults.

use crate::checker::Fault;

/// The jumps of the server's clock: when each began and was over by this machine's clock, and its
/// length in ms.
pub(super) struct Clock(Vec<(u64, u64, i64)>);

impl Clock {
    pub(super) fn read(faults: &[Fault]) -> Self {
        let jump = |fault: &Fault| {
            let millis = fault.note.strip_suffix(" ms")?.parse::<i64>().ok()?;
            (fault.kind == "clock jumped").then_some((fault.from, fault.to, millis))
        };
        Self(faults.iter().filter_map(jump).collect())
    }

    /// Returns whether the clock has jumped at some time in between.
    pub(super) fn jumped(&self, from: u64, to: u64) -> bool {
        self.0.iter().any(|(begun, over, _)| *begun <= to && from <= *over)
    }

    /// Returns a time of the server's clock by that of this machine. `near` is a time without a jump
    /// up to it.
    pub(super) fn local(&self, time: i64, near: u64) -> u64 {
        let before = self.0.iter().filter(|(_, over, _)| *over < near);
        let skew: i64 = before.map(|(.., millis)| millis).sum();
        u64::try_from(time - skew).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_from_the_jumps_before_it() {
        let fault = |kind: &str, from, note: &str| Fault {
            kind: kind.into(),
            target: "server".into(),
            from,
            to: from + 1,
            note: note.into(),
        };
        let faults = [
            fault("clock jumped", 100, "50 ms"),
            fault("server killed", 150, "7 ms"),
            fault("clock jumped", 200, "-20 ms"),
        ];
        let clock = Clock::read(&faults);
        assert_eq!([50, 150, 300].map(|near| clock.local(1_000, near)), [1_000, 950, 970]);
        assert_eq!(
            [clock.jumped(0, 99), clock.jumped(99, 100), clock.jumped(102, 199)],
            [false, true, false]
        );
    }
}
