//! The declarations of a node's code on the server: its pools, and by its hooks its batchers and
//! schedules. Made when the node starts, and again when the server has lost them.

use std::sync::Arc;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::Error;
use poolder_core::policy::Pauses;

use super::pools::admit;
use crate::run::erased::BoxFuture;
use crate::run::guard::guarded;
use crate::run::pool::PoolPlan;

/// Why a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The node starts.
    Start,
    /// The server has lost data: only what is missing is declared.
    Loss,
}

type RunHook = Box<dyn Fn(Client, Occasion) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// A step before the first job is claimed.
pub(super) struct Hook {
    pub(super) run: RunHook,
    /// True for a declaration, which also runs after a loss.
    pub(super) declares: bool,
}

/// Returns the pauses between the tries of declarations: 0.5 s, then twice as long each time, up
/// to 5 s.
pub(super) fn pauses() -> Pauses {
    Pauses::new(Duration::from_millis(500), Duration::from_secs(5))
}

/// Declares the pools and runs the hooks when a node starts.
pub(super) async fn declare(
    client: &Client,
    hooks: &[Hook],
    plans: &[PoolPlan],
) -> Result<(), Error> {
    for plan in plans {
        admit(client, plan).await?;
    }
    for hook in hooks {
        (hook.run)(client.clone(), Occasion::Start).await?;
    }
    Ok(())
}

/// Declares again what the server has lost. A declaration that fails does not keep the others from
/// being made; those that the server did not answer or refused are repeated until they succeed.
pub(super) async fn declare_again(client: Client, hooks: Arc<[Hook]>, plans: Vec<PoolPlan>) {
    let mut pools: Vec<&PoolPlan> = plans.iter().collect();
    let mut hooks: Vec<&Hook> = hooks.iter().filter(|hook| hook.declares).collect();
    tracing::warn!("the server has lost data: declaring pools, batchers and schedules again");
    let mut waits = pauses();
    loop {
        let mut left = (vec![], vec![]);
        let mut failure = None;
        for plan in pools {
            if let Err(error) = admit(&client, plan).await
                && is_to_be_repeated(&error)
            {
                failure = Some(error);
                left.0.push(plan);
            }
        }
        for hook in hooks {
            let declared = guarded(|| (hook.run)(client.clone(), Occasion::Loss)).await;
            match declared {
                Ok(Err(error)) if is_to_be_repeated(&error) => {
                    failure = Some(error);
                    left.1.push(hook);
                }
                Ok(_) => {}
                Err(panic) => tracing::error!(panic, "a declaration panicked"),
            }
        }
        let Some(error) = failure else { return };
        (pools, hooks) = left;
        let wait = waits.after_failure();
        tracing::warn!(%error, retry_in = ?wait, "not all declarations were made again");
        tokio::time::sleep(wait).await;
    }
}

/// Returns true when the server may accept the declaration later. Logs any other error.
fn is_to_be_repeated(error: &Error) -> bool {
    let again = error.is_refused() || error.is_unknown();
    if !again {
        tracing::error!(%error, "a declaration could not be made again");
    }
    again
}
