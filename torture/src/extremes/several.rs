//! Enqueues that wait for replicas, of several prepared jobs, and of copies: for a set of
//! pools, and for all slots of a broadcast pool.

use std::cell::RefCell;
use std::time::Duration;

use poolder::{Durability, Policy, PoolSet, PreparedJob, Receipt};

use super::caller::Calls;
use super::draw::{Draw, HOUR};
use super::{COPIES, JOBS, Odd, PLAYGROUND, SLOTS};

/// The number of pool sets.
const SETS: u64 = 4;

impl Calls {
    /// Enqueues a job that must wait for a replica, of which there is none, and then without.
    pub(super) async fn unconfirmed(&self, number: u64, mut draw: Draw) {
        let (job, name) = (odd(number), draw.name(number));
        let timeout = draw.random.pick(&[1, 50, 500]);
        let timeout = Duration::from_millis(timeout);
        let replicas = draw.random.pick(&[1, 2, u32::MAX]);
        let wanted = draw.random.pick(&[
            Durability::Replicated { replicas, timeout },
            Durability::Fsynced { replicas: 1, timeout },
        ]);
        let build = |durability| {
            let enqueue = self.client.enqueue(job.clone()).queue(JOBS).id(&name);
            enqueue.idempotent(HOUR).keep_completion(HOUR).durability(durability)
        };
        let what = format!("enqueue {number} {wanted:?}");
        match build(wanted).await {
            Ok(receipt) => {
                let text = format!("{what}: {receipt:?}");
                self.broken("an enqueue was confirmed by a replica that does not exist", text);
            }
            Err(error) if error.is_refused() || error.is_unknown() => {}
            Err(error) => {
                let text = format!("{what}: {error}");
                self.broken("an unconfirmed enqueue is neither refused nor unknown", text);
            }
        }
        // The same job again: it is one job, and runs.
        let again = self.good(&what, async || build(Durability::Memory).await).await;
        if let Some(receipt) = again {
            self.ends(&what, &receipt, &Policy::default(), false, true).await;
        }
    }

    /// Enqueues several prepared jobs, one of which may be forbidden.
    pub(super) async fn prepared(&self, number: u64, mut draw: Draw) {
        let many = draw.random.pick(&[0, 1, 2, 60]);
        let (lane, window) = (draw.lane(), draw.duration().max(HOUR));
        let what = format!("prepared {number}: {many} and one in {lane}");
        let prepare = |at: u64, lane| {
            let name = format!("prepared-{number}-{at}");
            let enqueue = self.client.enqueue(odd(number)).queue(JOBS).id(name).lane(lane);
            enqueue.idempotent(window).keep_completion(HOUR).prepare()
        };
        let last = RefCell::new(None::<Receipt>);
        let all = async || {
            let plain = (0..many).map(|at| prepare(at, poolder::Lane::Low));
            let jobs: Vec<Result<PreparedJob, _>> = plain.chain([prepare(many, lane)]).collect();
            let mut results = self.client.enqueue_prepared(jobs).await;
            if results.len() as u64 != many + 1 {
                self.broken("results of prepared jobs are missing", what.clone());
            }
            let drawn = results.pop().transpose();
            for result in results {
                *last.borrow_mut() = Some(result?);
            }
            drawn
        };
        if let Some(Some(receipt)) = self.drawn(&what, &draw, all).await {
            last.replace(Some(receipt));
        }
        if let Some(receipt) = last.take() {
            self.ends(&what, &receipt, &Policy::default(), false, true).await;
        }
    }

    /// Casts a job to all slots of the broadcast pool, and operates the pool.
    pub(super) async fn broadcast(&self, number: u64, mut draw: Draw) {
        let pool = self.client.pool::<Odd>(draw.queue(COPIES));
        let what = format!("broadcast {number}");
        let late = draw.forbid("time of a broadcast");
        let cast = async || match pool.cast(odd(number)) {
            cast if late => cast.after(HOUR).await,
            cast => cast.await,
        };
        let Some(receipt) = self.drawn(&what, &draw, cast).await else { return };
        match draw.random.between(0, 2) {
            0 => {
                self.good(&what, async || self.client.pause(COPIES).await).await;
                self.good(&what, async || self.client.resume(COPIES).await).await;
            }
            1 => drop(self.good(&what, async || self.client.job(&receipt).cancel().await).await),
            // Each process has its own size.
            _ => match self.answer(&what, async || pool.resize(2).await).await {
                Some(Err(error)) if error.is_invalid() => {}
                None => {}
                other => self.broken("a broadcast pool was resized", format!("{other:?}")),
            },
        }
    }

    /// Changes a set of pools, and casts to it.
    pub(super) async fn pool_set(&self, number: u64, mut draw: Draw) {
        let what = format!("pool set {number}");
        let set = if draw.forbid("name of a set") {
            self.client.pool_set(draw.random.pick(&["", " ", "a:b", "ö", "\0"]))
        } else {
            self.set(number % SETS)
        };
        let add = async || {
            set.add(JOBS).await?;
            set.add(SLOTS).await
        };
        if self.drawn(&what, &draw, add).await.is_none() {
            return;
        }
        let pools = self.good(&what, async || set.pools().await).await;
        let has = |queue: &str| {
            pools.as_ref().is_none_or(|all| all.iter().any(|pool| pool.as_str() == queue))
        };
        if !has(JOBS) || !has(SLOTS) {
            self.broken("a pool is missing in its set", format!("{what}: {pools:?}"));
        }
        self.good(&what, async || set.add(PLAYGROUND).await).await;
        self.good(&what, async || set.remove(PLAYGROUND).await).await;
        let cast = async || set.cast(odd(number)).await;
        for (pool, result) in self.good(&what, cast).await.unwrap_or_default() {
            match result {
                Ok(_) => {}
                // The pool may be stopped, and the server away.
                Err(error)
                    if error.is_gone()
                        || error.is_not_found()
                        || error.is_refused()
                        || error.is_unknown() => {}
                Err(error) => {
                    let text = format!("{what}, {pool}: {error}");
                    self.broken("a copy for a set of pools was not cast", text);
                }
            }
        }
    }

    /// Removes all pools from the sets.
    pub(super) async fn clear_sets(&self) {
        for number in 0..SETS {
            let set = self.set(number);
            for pool in [JOBS, SLOTS, PLAYGROUND] {
                self.good("clear a set", async || set.remove(pool).await).await;
            }
            match self.answer("cast to nothing", async || set.cast(odd(0)).await).await {
                Some(Err(error)) if error.is_gone() || error.is_not_found() => {}
                None => {}
                other => self.broken("an empty set of pools was cast to", format!("{other:?}")),
            }
        }
    }

    fn set(&self, number: u64) -> PoolSet {
        self.client.pool_set(format!("odd-set-{number}"))
    }
}

/// Returns a job that succeeds.
fn odd(number: u64) -> Odd {
    Odd { number, fails: false, padding: String::new() }
}
