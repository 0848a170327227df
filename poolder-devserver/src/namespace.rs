//! Namespaces that no other test uses.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Maximum length of a namespace in bytes; the ending takes up to 34 of them.
const MAX_BYTES: usize = 64;

/// Returns a fresh namespace for one test: `prefix`, then an ending that no other call ever
/// returns, in this or any other process.
///
/// The result has 1 to 64 bytes of `A–Z a–z 0–9 _ . -`; other characters of the prefix become
/// `-`, and a long prefix is cut.
#[must_use]
pub fn namespace(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let ending = format!("-{count:x}-{:016x}", random());
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let prefix = prefix.chars().map(|c| if allowed(c) { c } else { '-' });
    prefix.take(MAX_BYTES - ending.len()).chain(ending.chars()).collect()
}

/// Returns a number from the operating system's randomness, which std reads for its hash maps.
pub(crate) fn random() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // The keys of one thread are related to each other, so the count is hashed as well.
    RandomState::new().hash_one(COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::namespace;
    use std::collections::HashSet;

    #[test]
    fn every_namespace_is_new() {
        let names: HashSet<String> = (0..1000).map(|_| namespace("same")).collect();
        assert_eq!(names.len(), 1000);
    }

    #[test]
    fn every_namespace_is_allowed() {
        for prefix in ["", "plain", "tests::retry::backs off", "üñï{x}", &"long".repeat(50)] {
            let name = namespace(prefix);
            assert!(!name.is_empty() && name.len() <= 64, "{name}");
            let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            assert!(name.chars().all(allowed), "{name}");
        }
        assert!(namespace("tests::retry").starts_with("tests--retry-"));
    }
}
