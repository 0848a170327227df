//! Keeps the leadership of a partition: takes the lease, renews it, relies on it for less than its
//! duration, and resigns at shutdown.

use std::time::Duration;

use poolder_core::Error;
use poolder_core::broker::Leadership;
use poolder_core::history::{JournalEvent, JournalRecord};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::service_context::ServiceContext;
use crate::process::liveness::DeadNodes;
use crate::process::watching::changed;
use crate::run::context::past;

/// How long a lease lasts, by the server's clock.
const LEASE: Duration = Duration::from_secs(15);
/// How long this node relies on a lease, by the local clock, counted from the moment of the
/// request.
const TRUST: Duration = Duration::from_secs(12);
/// How often the node renews the lease, or asks for it.
const RENEWAL: Duration = Duration::from_secs(5);

/// Works until `stop` is cancelled, then resigns.
pub(super) async fn run(mut cx: ServiceContext, stop: CancellationToken) {
    let mut holder = String::new();
    let mut trusted = Instant::now();
    let mut term = 0;
    let (mut rests, mut ask_at) = (cx.rests.subscribe(), Instant::now());
    loop {
        // A node whose name was marked as dead must not lead, and a node that has not sent a beat
        // must not lead either. A node that rests leaves it to those that wait for jobs, or that are
        // busy.
        let identity = cx.identity.borrow_and_update().clone();
        let dead = cx.dead.borrow_and_update().contains(&holder).then_some(holder.as_str());
        let asked = Instant::now();
        let stands = identity.claims && (cx.is_leading() || !*rests.borrow_and_update());
        if stands && ask_at <= asked {
            ask_at = asked + RENEWAL;
            let answer = ask(&cx, &identity.name, &holder, dead).await;
            match answer {
                Ok((leadership, elected)) => {
                    if has_lost(term, &leadership, elected) {
                        cx.losses.report();
                    }
                    term = leadership.term;
                    if leadership.ours {
                        trusted = asked + TRUST;
                    }
                    announce(&cx, leadership.ours, leadership.term, &leadership.holder);
                    holder = leadership.holder;
                }
                Err(error) => {
                    let request = "the leadership could not be renewed";
                    cx.engine.outages.failed(&cx.partition, request, &error);
                }
            }
        }
        let leads = identity.claims && trusted > Instant::now();
        if !leads {
            announce(&cx, false, 0, &holder);
        }
        let next = if leads { Some(trusted.min(ask_at)) } else { stands.then_some(ask_at) };
        tokio::select! {
            () = stop.cancelled() => break,
            () = past(next) => {}
            () = changed(&mut rests) => {}
            () = cx.lease.notified() => ask_at = Instant::now(),
            () = changed(&mut cx.identity) => ask_at = Instant::now(),
            () = died(&mut cx.dead, &holder) => ask_at = Instant::now(),
        }
    }
    if cx.is_leading() {
        announce(&cx, false, 0, &holder);
        let name = cx.identity.borrow().name.clone();
        if let Err(error) = cx.broker.resign(&cx.partition, &name).await {
            let request = "could not resign, the lease ends by itself";
            cx.engine.outages.failed(&cx.partition, request, &error);
        }
    }
}

/// Renews the lease if this node holds it; otherwise asks for it, again if the leader is known to be
/// dead. Returns the leader, and whether this node asked.
async fn ask(
    cx: &ServiceContext,
    name: &str,
    holder: &str,
    dead: Option<&str>,
) -> Result<(Leadership, bool), Error> {
    if holder == name
        && let Some(renewed) = cx.broker.renew(&cx.partition, name, LEASE).await?
    {
        return Ok((renewed, false));
    }
    let mut found = cx.broker.lead(&cx.partition, name, LEASE, dead).await?;
    let is_dead = cx.dead.borrow().contains(&found.holder);
    if !found.ours && is_dead {
        found = cx.broker.lead(&cx.partition, name, LEASE, Some(&found.holder)).await?;
    }
    Ok((found, true))
}

/// Returns true when the server of the partition has lost data since it named the term `before`,
/// 0 for none: each election raises the term, unless the last term is gone.
fn has_lost(before: u64, now: &Leadership, elected: bool) -> bool {
    now.term < before || (before > 0 && elected && now.ours && now.term == before)
}

/// Waits until the current leader is declared dead.
async fn died(dead: &mut watch::Receiver<DeadNodes>, holder: &str) {
    loop {
        changed(dead).await;
        if dead.borrow_and_update().contains(holder) {
            return;
        }
    }
}

fn announce(cx: &ServiceContext, leads: bool, term: u64, holder: &str) {
    let changed = cx.leads.send_if_modified(|before| std::mem::replace(before, leads) != leads);
    if changed && leads {
        tracing::info!(partition = %cx.partition, term, "this node leads");
        let record = JournalRecord::new(JournalEvent::Leader).node(&cx.identity.borrow().name);
        let record = record.partition(&cx.partition).detail(&format!("term {term}"));
        cx.engine.events.journal().note(record);
    } else if changed {
        tracing::info!(partition = %cx.partition, holder, "this node leads no longer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_that_does_not_grow_shows_a_loss() {
        let leader = |ours, term| Leadership { ours, term, holder: "node".into() };
        assert!(!has_lost(0, &leader(true, 1), true), "nothing was known");
        assert!(!has_lost(1, &leader(true, 1), false), "renewed");
        assert!(!has_lost(1, &leader(false, 1), true), "another node still leads");
        assert!(!has_lost(1, &leader(true, 2), true), "elected after the lease has expired");
        assert!(has_lost(1, &leader(true, 1), true), "elected again in the same term");
        assert!(has_lost(2, &leader(false, 1), true) && has_lost(2, &leader(true, 1), true));
    }
}
