//! The place of a job in its lane.

use std::time::Duration;

use poolder::Ahead;
use poolder::prelude::*;

use crate::harness::{Number, Space};

#[tokio::test]
async fn jobs_before_one_are_counted_and_above_a_limit_estimated() {
    let space = Space::new("ahead");
    let client = &space.client;
    let all = client.enqueue_many((0..2_600).map(Number)).await;
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    let mut claims = space.connection("q", "a").await;
    let claimed = claims.exchange(&[], Some((Lane::Normal, 3)), false).await.unwrap();
    assert_eq!(claimed.claimed.unwrap().jobs.len(), 3);
    let ahead = |at: usize| {
        let job = client.job(&all[at]);
        async move { job.ahead().await.unwrap() }
    };
    let exactly = |jobs| Some(format!("{jobs}"));
    let text = |ahead: Option<Ahead>| ahead.map(|ahead| ahead.to_string());
    assert_eq!(text(ahead(2).await), None, "it runs");
    assert_eq!(text(ahead(3).await), exactly(0));
    assert_eq!(text(ahead(700).await), exactly(697));
    let far = ahead(2_500).await.unwrap();
    assert!(!far.exact && (2_000..=2_597).contains(&far.jobs), "{far}");
    let later = client.enqueue(Number(9)).after(Duration::from_secs(60)).await.unwrap();
    assert_eq!(client.job(&later).ahead().await.unwrap(), None);
}
