//! The engine and version that `--version` prints, and the oldest supported version.

use std::fmt;

/// Oldest supported major and minor version: the first with `XAUTOCLAIM`, which Poolder needs.
pub(crate) const OLDEST: (u32, u32) = (6, 2);

/// The engine and version of a server program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    engine: String,
    numbers: (u32, u32, u32),
}

impl Version {
    /// Parses the line that `redis-server --version` or `valkey-server --version` prints:
    /// `Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=…`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let engine = words.next()?.to_owned();
        if words.next()? != "server" {
            return None;
        }
        let text = words.find_map(|word| word.strip_prefix("v="))?;
        let mut numbers = text.split(['.', '-']);
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        // A release candidate or a development build may have no patch number.
        let patch = numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        Some(Self { engine, numbers: (major, minor, patch) })
    }

    /// Returns the engine, `Redis` or `Valkey`.
    #[must_use]
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// Returns the major, minor and patch number.
    #[must_use]
    pub fn numbers(&self) -> (u32, u32, u32) {
        self.numbers
    }

    pub(crate) fn is_supported(&self) -> bool {
        (self.numbers.0, self.numbers.1) >= OLDEST
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.numbers;
        write!(f, "{} {major}.{minor}.{patch}", self.engine)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    fn parsed(line: &str) -> String {
        Version::parse(line).unwrap_or_else(|| panic!("not parsed: {line}")).to_string()
    }

    #[test]
    fn both_engines_are_read() {
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=c1";
        assert_eq!(parsed(redis), "Redis 7.0.15");
        assert_eq!(parsed("Valkey server v=9.1.2 sha=00000000:0 malloc=libc"), "Valkey 9.1.2");
    }

    #[test]
    fn candidates_and_development_builds_are_read() {
        assert_eq!(parsed("Redis server v=8.0-rc1 sha=0"), "Redis 8.0.0");
        assert_eq!(parsed("Valkey server v=255.255.255 sha=0"), "Valkey 255.255.255");
    }

    #[test]
    fn other_programs_are_not_taken_for_a_server() {
        for line in ["", "redis-cli 7.0.15", "KeyDB 6.3", "Redis server", "Redis server v=x.y"] {
            assert_eq!(Version::parse(line), None, "{line}");
        }
    }

    #[test]
    fn six_two_is_the_oldest() {
        let supported = |line| Version::parse(line).is_some_and(|v: Version| v.is_supported());
        assert!(!supported("Redis server v=5.0.14"));
        assert!(!supported("Redis server v=6.0.16"));
        assert!(supported("Redis server v=6.2.0"));
        assert!(supported("Redis server v=7.0.1"));
        assert!(supported("Redis server v=10.0.0"));
    }
}
