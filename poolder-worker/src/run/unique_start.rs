//! The start of a unique job whose key is free from then on.

use std::time::Duration;

use poolder_core::{Claim, UniqueMode};

use super::context::Context;
use super::engine::Engine;

/// How often the key is freed until an answer comes.
const TRIES: u32 = 5;
/// The pause after the first try; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// Frees the key of a job whose rule ends at the start, before its handler runs: data that is
/// enqueued after the handler has begun to read must be another job. Without an answer after some
/// tries the job runs all the same, and its end frees the key.
pub(super) async fn free_key(engine: &Engine, cx: &Context, claim: &Claim) {
    let ends_here = claim.envelope.unique_mode().is_some_and(UniqueMode::ends_at_start);
    // An attempt that has failed had begun.
    if !ends_here || claim.counters.failures > 0 {
        return;
    }
    for number in 0..TRIES {
        let freed = engine.client.broker().free_key_at_start(cx.partition(), claim).await;
        let Err(error) = freed else { return };
        engine.outages.failed(cx.partition(), "the key of a unique job was not freed", &error);
        tokio::select! {
            () = cx.cancelled() => return,
            () = tokio::time::sleep(PAUSE.saturating_mul(1 << number)) => {}
        }
    }
}
