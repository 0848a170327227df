//! The doctor finds each fault that is planted, and nothing in a sound set-up.

mod queues;
mod servers;
mod snapshot;

use poolder::{Diagnosis, Finding};

use crate::harness::Space;

/// Returns the findings but those about the server, which other tests share.
async fn findings(space: &Space) -> Vec<Finding> {
    let diagnosis = space.client.doctor().await.unwrap();
    well_formed(&diagnosis);
    diagnosis.findings.into_iter().filter(|found| found.subject != "server").collect()
}

async fn codes(space: &Space) -> Vec<&'static str> {
    findings(space).await.iter().map(|found| found.code).collect()
}

/// Checks that each finding says what, why and what to do, and that the worst comes first.
fn well_formed(diagnosis: &Diagnosis) {
    let severities: Vec<_> = diagnosis.findings.iter().map(|found| found.severity).collect();
    assert!(severities.is_sorted_by(|a, b| a >= b), "{diagnosis}");
    for found in &diagnosis.findings {
        let texts = [&found.subject, &found.what, &found.why, &found.cure];
        assert!(texts.iter().all(|text| !text.is_empty()), "{found}");
        assert!(diagnosis.to_string().contains(&found.what));
    }
    assert!(serde_json::to_string(diagnosis).is_ok());
}
