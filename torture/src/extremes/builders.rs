//! Nodes that are built with extreme settings: each is refused as invalid, or works until it stops.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{BoxError, NodeBuilder, Policy};

use super::caller::Calls;
use super::draw::Draw;
use super::{JOBS, Odd, PLAYGROUND, Takes};

/// The time for which a node runs.
const RUNS: Duration = Duration::from_secs(2);
/// Longer than the server is away.
const AWAY: Duration = Duration::from_secs(30);
/// The time within which a node has stopped, also while the server is away.
const STOPPED: Duration = Duration::from_secs(90);

impl Calls {
    /// Builds a node with drawn settings, runs it for a while, and stops it.
    pub(super) async fn build(&self, number: u64, mut draw: Draw) {
        let node = match draw.random.between(0, 3) {
            0 => self.forbidden_batcher(&mut draw),
            1 => self.forbidden_schedule(&mut draw),
            _ => self.drawn_node(&mut draw),
        };
        let what = format!("node {number}");
        // A node whose server is away has not checked all its settings.
        let runs = if draw.forbidden.is_some() { AWAY } else { RUNS };
        let stopped = node.run_until(tokio::time::sleep(runs));
        let Ok(stopped) = tokio::time::timeout(STOPPED, stopped).await else {
            self.broken("a node did not stop", what);
            return;
        };
        match (stopped, &draw.forbidden) {
            (Ok(()), None) => {}
            (Ok(()), Some(setting)) => {
                let text = format!("{what}: {setting}");
                self.broken("a forbidden setting of a node was accepted", text);
            }
            (Err(error), Some(_)) if error.is_invalid() => {}
            (Err(error), _) => {
                let text = format!("{what}: {:?}: {error}", draw.forbidden);
                self.broken("a node failed", text);
            }
        }
    }

    /// Returns a node with a pool whose settings are drawn.
    fn drawn_node(&self, draw: &mut Draw) -> NodeBuilder {
        let size = match draw.forbid("size of a pool") {
            true => draw.random.pick(&[0, 10_001, u16::MAX]),
            false => draw.random.pick(&[1, 2, 64]),
        };
        let idle = match draw.forbid("hibernation") {
            true => Duration::ZERO,
            false => draw.kept(),
        };
        let policy = draw.policy();
        let pool = Pool::new(draw.queue(PLAYGROUND)).size(size).policy(policy);
        let pool = pool.hibernate_after(idle).handover_timeout(draw.duration());
        let worker = worker_fn(|job: Odd, _: Context| async move {
            if job.fails { Err(BoxError::from("it always fails")) } else { Ok(Done) }
        });
        let stop = draw.random.pick(&[
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(999),
            Duration::MAX,
        ]);
        let (count, age) = (draw.random.pick(&[0, 1, u64::MAX]), draw.duration());
        let node = Node::builder(self.client.clone()).shutdown_timeout(stop).keep_dead(count, age);
        node.pool(pool.worker(worker))
    }

    /// Returns a node with a batcher that has a forbidden setting.
    fn forbidden_batcher(&self, draw: &mut Draw) -> NodeBuilder {
        let batcher = Batcher::new("odd-refused", Takes);
        let (setting, batcher) = match draw.random.between(0, 3) {
            0 => ("size of a batcher", batcher.size(draw.random.pick(&[0, u16::MAX]))),
            1 => ("limit of a batch", batcher.limit(0)),
            2 => ("attempts of a batch", batcher.policy(Policy::default().attempts(0))),
            _ => ("name of a queue", batcher.queue("a b")),
        };
        draw.forbidden = Some(setting.into());
        Node::builder(self.client.clone()).add(batcher)
    }

    /// Returns a node with a schedule that has a forbidden setting.
    fn forbidden_schedule(&self, draw: &mut Draw) -> NodeBuilder {
        let long = "n".repeat(129);
        let (name, when) = draw.random.pick(&[
            ("", "@daily"),
            ("a b", "@daily"),
            (&long, "@daily"),
            ("a", "61 * * * *"),
        ]);
        draw.forbidden = Some(format!("schedule {name:?} {when}"));
        let job = Odd { number: 0, fails: false, padding: String::new() };
        let worker = worker_fn(|_: Odd, _: Context| async move { Done });
        let pool = Pool::new(JOBS).size(1).worker(worker);
        let crontab = Crontab::new("odd-refused").entry(name, when, job);
        Node::builder(self.client.clone()).pool(pool).add(crontab)
    }
}
