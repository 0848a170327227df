//! Each reason for which a job does not run, made on a real server, and the explanation of it.

mod addressed;
mod holders;
mod stored;
mod waiting;

use poolder::{Explanation, Handle, Timestamp, Why};
use redis::cmd;

use crate::harness::Space;

impl Space {
    /// Enters a node into the roster that last beat so many ms ago, and serves the queue `q` with
    /// so many slots. `more` are further fields of its description, as JSON.
    pub(crate) async fn enter(&self, node: &str, silent: i64, slots: usize, more: &str) {
        let roster = |rest| format!("{}:{{roster}}:{rest}", self.name());
        let (seconds, micros): (i64, i64) = self.redis(&mut cmd("TIME")).await;
        let beat = seconds * 1_000 + micros / 1_000 - silent;
        self.redis::<u64>(cmd("ZADD").arg(roster("nodes")).arg(beat).arg(node)).await;
        let about =
            format!(r#"{{"pid":1,"version":"0","started":1,"pools":[["q",{slots}]]{more}}}"#);
        self.redis::<u64>(cmd("HSET").arg(roster("about")).arg(node).arg(about)).await;
    }

    /// Marks a node as dead.
    pub(crate) async fn mark(&self, node: &str) {
        let marks = format!("{}:{{roster}}:marks", self.name());
        let now = Timestamp::now().millis();
        self.redis::<u64>(cmd("ZADD").arg(marks).arg(now).arg(node)).await;
    }
}

/// Explains a job, and checks what holds for each explanation.
async fn explain(space: &Space, job: impl Into<Handle>) -> Explanation {
    let job: Handle = job.into();
    let found = space.client.job(&job).explain().await.unwrap();
    consistent(&found);
    found
}

/// Checks that the first check that is not ok is the reason, and that the text names it.
fn consistent(found: &Explanation) {
    let first = found.checks.iter().find(|check| !check.ok);
    match first {
        Some(check) => assert_eq!(check.text, found.reason, "{found}"),
        None => assert!(matches!(found.verdict, Why::Running | Why::Next), "{found}"),
    }
    let text = found.to_string();
    assert!(text.contains(&found.reason) && text.contains(found.verdict.as_str()), "{text}");
    let json = serde_json::to_value(found).unwrap();
    assert_eq!(json["verdict"], found.verdict.as_str());
    assert_eq!(json["checks"][0]["name"], found.checks[0].name);
    for check in &found.checks {
        assert!(!check.text.is_empty() && !check.read.is_empty(), "{check:?}");
    }
}

/// Asserts the verdict, and that the reason has this text.
#[track_caller]
fn assert_why(found: &Explanation, why: Why, text: &str) {
    assert_eq!(found.verdict, why, "{found}");
    assert!(found.reason.contains(text), "{text:?} is not in: {found}");
}
