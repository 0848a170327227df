//! The drill of a node whose user may not release its slots for a while.

use std::path::PathBuf;
use std::time::Duration;

use poolder::{Partition, QueueName};

use super::{Stage, must, within};
use crate::beside::Beside;
use crate::checker::Verdict;
use crate::child::Instructions;
use crate::job::{Act, QUEUE, Step};
use crate::processes::Handle;
use crate::rollback::history;
use crate::scene::error_text;

const SLOTS: u16 = 8;
/// For this long every release of the first node is refused.
const REFUSED: Duration = Duration::from_secs(8);
/// The time for each step.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts a second node while the access rules refuse the releases of the first. Once they allow
/// them again, each slot must be held by the node to which it belongs, and run jobs.
pub(super) async fn releases(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    let rule = |rule: &str| stage.stand.command(&["ACL", "SETUSER", "first", rule]).map(drop);
    for word in ["on", ">word", "~*", "&*", "+@all"] {
        rule(word)?;
    }
    let beside = Beside { addressed: true, ..Beside::default() };
    let mut first = stage.worker(0, SLOTS.into(), beside.clone());
    first.common.url = stage.stand.url()?.replace("://", "://first:word@");
    let first = Handle::start(Instructions::Worker(first), None)?;
    let pool = stage.client.pool::<Step>(QUEUE);
    let holders = async || {
        let slots = pool.slots().await.unwrap_or_default();
        slots.into_iter().map(|slot| slot.node).collect::<Vec<_>>()
    };
    let all_held = async || {
        let holders = holders().await;
        Ok(holders.len() == usize::from(SLOTS) && holders.iter().all(Option::is_some))
    };
    must(within(PATIENCE, all_held).await?, "the first node does not serve all slots")?;
    rule("-hset")?;
    let second = stage.node(1, SLOTS.into(), beside).await?;
    tokio::time::sleep(REFUSED).await;
    rule("+hset")?;
    let queue = QueueName::new(QUEUE).map_err(error_text)?;
    let at_home = async || {
        let Ok(view) = pool.view().await else { return Ok(false) };
        let holders = holders().await;
        let owner = |index: u16| {
            let slot = Partition { queue: queue.clone(), index };
            poolder::dispatch::holder(&slot, view.members.iter().map(String::as_str))
        };
        Ok(view.members.len() == 2
            && (0..SLOTS).zip(&holders).all(|(slot, holder)| holder.as_deref() == owner(slot)))
    };
    let mut verdict = Verdict::default();
    if !within(PATIENCE, at_home).await? {
        verdict.violate("a slot is not where it belongs", format!("{:?}", holders().await));
    }
    for slot in 0..SLOTS {
        let step = Step { seq: slot.into(), act: Act::Done, millis: 1 };
        pool.slot(slot).cast(step).await.map_err(error_text)?;
    }
    let idle = || -> Result<Vec<u16>, String> {
        let mut idle = vec![];
        for slot in 0..SLOTS {
            if history(&stage.folder, slot.into())?.is_none() {
                idle.push(slot);
            }
        }
        Ok(idle)
    };
    if !within(PATIENCE, async || Ok(idle()?.is_empty())).await? {
        verdict.violate("never started", format!("in the slots {:?}", idle()?));
    }
    for node in [first, second] {
        node.member.lock().await.kill().await?;
    }
    Ok(verdict)
}
