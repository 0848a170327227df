//! The results of the checks.

use std::future::Future;
use std::time::Instant;

/// Prints each result, and remembers the failures.
pub(crate) struct Report {
    /// Words of which the name of a check has one; all checks are made without a word.
    words: Vec<String>,
    began: Instant,
    passed: usize,
    failed: Vec<String>,
}

impl Report {
    pub(crate) fn new(words: Vec<String>) -> Self {
        let now = Instant::now();
        Self { words, began: now, passed: 0, failed: vec![] }
    }

    /// Makes a check, unless it is not asked for.
    pub(crate) async fn check(
        &mut self,
        name: &str,
        check: impl Future<Output = Result<(), String>>,
    ) {
        if !self.words.is_empty() && !self.words.iter().any(|word| name.contains(word)) {
            return;
        }
        let began = Instant::now();
        let result = check.await;
        let seconds = began.elapsed().as_secs_f32();
        match result {
            Ok(()) => {
                self.passed += 1;
                println!("ok      {name} ({seconds:.1} s)");
            }
            Err(reason) => {
                println!("FAILED  {name} ({seconds:.1} s): {reason}");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Prints the sum. Returns true when no check has failed.
    pub(crate) fn end(&self) -> bool {
        let (passed, failed) = (self.passed, self.failed.len());
        println!("{passed} passed, {failed} failed in {:.0} s", self.began.elapsed().as_secs_f32());
        for name in &self.failed {
            println!("  failed: {name}");
        }
        self.failed.is_empty() && self.passed > 0
    }
}
