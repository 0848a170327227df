//! An hour that the fleet is said to have behind it: counts of each minute, errors and deploys.

use std::time::Duration;

use poolder_client::Client;
use poolder_core::broker::HistoryDelta;
use poolder_core::history::{
    AttemptEnd, Counts, ErrorId, ErrorSample, HistoryStep, KindSums, Period,
};
use poolder_core::{Cause, Failure, JobId};
use poolder_devserver::Server;

use super::jobs::NAMESPACE;
use crate::world::text;

const MINUTES: u64 = 75;

/// The kinds: queue, kind, attempts a second, the mean run time and wait in µs.
const KINDS: [(&str, &str, u64, u64, u64); 6] = [
    ("mail", "email.welcome", 16, 100_000, 2_500),
    ("mail", "email.receipt", 8, 60_000, 2_500),
    ("search-index", "search.index", 20, 15_000, 1_200),
    ("webhooks", "webhook.deliver", 8, 60_000, 900),
    ("thumbs", "thumb.make", 12, 15_000, 1_100),
    ("billing", "invoice.create", 4, 26_000, 1_500),
];

/// The errors: queue, kind, message, times a minute, and the minutes since which they come.
const ERRORS: [(&str, &str, &str, u64, u64); 3] = [
    ("mail", "email.welcome", "SMTP 451 mailbox 48213 is temporarily unavailable", 62, 14),
    ("webhooks", "webhook.deliver", "https://hooks.example.com answered 502", 9, 70),
    ("mail", "email.welcome", "connection to smtp-2 was reset", 3, 40),
];

/// Writes the hour. Nodes must not run yet: they would add to the same frames.
pub(super) async fn write(client: &Client, server: &Server) -> Result<(), String> {
    let broker = client.broker();
    let mut now = broker.server_now().await.map_err(text)?;
    for ago in (0..=MINUTES).rev() {
        let delta = minute(ago);
        now = broker.flush_history(&delta, now).await.map_err(text)?.now;
        let number = Period::of(HistoryStep::Minute, now).number();
        let key = |number: i64| format!("{NAMESPACE}:{{roster}}:history:m:{number}");
        if ago > 0 {
            let moved = ["RENAME", &key(number), &key(number - i64::try_from(ago).unwrap_or(0))];
            server.command(&moved).map_err(text)?;
        }
    }
    for (deploy, ago) in [("v2.13.9", 70), ("v2.14.0", 42)] {
        broker.mark_deploy(deploy, now - Duration::from_secs(60 * ago)).await.map_err(text)?;
    }
    Ok(())
}

/// Returns the counts of a minute.
fn minute(ago: u64) -> HistoryDelta {
    let kinds = KINDS.iter().map(|&(queue, kind, rate, run, wait)| {
        let mut sums = KindSums::default();
        let failed: u64 = errors(ago).filter(|it| it.1 == kind).map(|it| it.3).sum();
        let attempts = rate * 60 * (94 + wave(ago, rate)) / 100;
        // The mail server slows down: jobs wait for slots.
        let slow = if queue == "mail" { 1 << (8_u64.saturating_sub(ago.div_ceil(2))) } else { 1 };
        for n in 0..attempts {
            let spread = 40 + wave(n, 7) * 10 + if n % 50 == 0 { 300 } else { 0 };
            sums.add_wait(wait * slow * spread / 100);
            let end = if n < failed { AttemptEnd::Failed } else { AttemptEnd::Done };
            sums.add_attempt(end, Some(run * spread / 100));
        }
        (queue.to_owned(), kind.to_owned(), Counts::of(&sums))
    });
    let errors = errors(ago).map(|&(queue, kind, message, times, _)| {
        let failure = Failure::new(Cause::Error, message);
        let sample = ErrorSample::new((queue, kind), &failure, JobId::generate());
        (ErrorId::of(kind, &failure), times, sample)
    });
    HistoryDelta { kinds: kinds.collect(), errors: errors.collect() }
}

fn errors(
    ago: u64,
) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str, u64, u64)> {
    ERRORS.iter().filter(move |error| ago <= error.4)
}

/// Returns a number below 12 that looks like chance and is always the same.
fn wave(n: u64, seed: u64) -> u64 {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ seed;
    (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) % 12
}
