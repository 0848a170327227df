//! Keeping finished jobs.

use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{FinishedJob, KeepFinished};
use poolder_core::policy::decide::Transition;

use super::{Lab, envelope, partition};

pub(super) const SCRIPTS: &[&str] = &["jobs/keep_finished"];

#[tokio::test]
async fn an_error_while_finished_jobs_are_kept_loses_records_and_nothing_else() {
    let mut lab = Lab::start();
    let keep = KeepFinished { count: 2, age: Duration::from_secs(60) };
    for before in 0..4 {
        lab.reset();
        let mut finished = vec![];
        for number in 1..=before + 1 {
            let claim = lab.claim_one(&envelope(number, "k", b"\x80")).await;
            let took = Duration::from_millis(7);
            let job = FinishedJob::of(&claim, &Transition::Complete, took, "node", keep);
            finished.push(Arc::new(job.unwrap()));
        }
        let (earlier, last) = finished.split_at(usize::from(before));
        for job in earlier {
            lab.broker().keep_finished(&partition(), std::slice::from_ref(job)).await.unwrap();
        }
        let fault = lab.snapshot();
        lab.broker().keep_finished(&partition(), last).await.unwrap();
        lab.inject("jobs/keep_finished", &format!("behind {before}"), fault);
    }
    lab.finish(SCRIPTS);
}
