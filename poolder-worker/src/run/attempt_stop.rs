//! The ends of an attempt that do not come from its handler: the end of its time, and interruptions.

use std::time::Duration;

use poolder_core::policy::decide::Ending;

use super::context::{Context, Interruption, past};
use super::engine::Engine;
use crate::process::liveness::ShutdownPhase;
use crate::process::watching::reaches;

/// How long an interrupted handler may still run before its future is dropped.
const GRACE: Duration = Duration::from_millis(250);
/// How long the handler of a cancelled job may still run before its future is dropped. Longer than
/// [`GRACE`], since no shutdown waits for it.
const CANCEL_GRACE: Duration = Duration::from_secs(3);

/// Ends when the handler was interrupted. Interrupts it when the pool releases its jobs.
pub(super) async fn interruption(cx: &Context, engine: &Engine) -> Interruption {
    let mut phase = engine.phase.clone();
    tokio::select! {
        biased;
        () = cx.cancelled() => {}
        () = reaches(&mut phase, ShutdownPhase::Release) => cx.interrupt(Interruption::Shutdown),
    }
    cx.interruption().unwrap_or(Interruption::Shutdown)
}

/// Ends when the handler was interrupted and its grace period has passed.
pub(super) async fn interrupted(cx: &Context, engine: &Engine) -> Interruption {
    let why = interruption(cx, engine).await;
    tokio::time::sleep(if why == Interruption::Cancelled { CANCEL_GRACE } else { GRACE }).await;
    why
}

/// The end of an attempt before that of its handler.
pub(super) enum AttemptStop {
    /// The time of the attempt is up.
    Late,
    /// The handler was interrupted, and its grace period has passed.
    Interrupted(Interruption),
}

/// Ends when the attempt must be given up.
pub(super) async fn attempt_stop(cx: &Context, engine: &Engine) -> AttemptStop {
    tokio::select! {
        biased;
        () = past(cx.deadline()) => AttemptStop::Late,
        why = interrupted(cx, engine) => AttemptStop::Interrupted(why),
    }
}

/// Returns how an interrupted attempt ends; `None` when the node has lost the job.
pub(super) fn given_up(why: Interruption) -> Option<Ending> {
    match why {
        Interruption::Shutdown => Some(Ending::Released),
        Interruption::Lost => None,
        Interruption::Cancelled => Some(Ending::Cancelled),
    }
}
