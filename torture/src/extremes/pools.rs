//! Casts, pushes, and the operation of addressed pools, with extreme settings.

use poolder::{PoolClient, Receipt, Stored};

use super::caller::Calls;
use super::draw::{Draw, HOUR};
use super::{BATCHER, LARGEST, Odd, SIZE, SLOTS};

impl Calls {
    pub(super) fn slots(&self) -> PoolClient<Odd> {
        self.client.pool(SLOTS)
    }

    /// Casts a job, or calls the pool with it.
    pub(super) async fn cast(&self, number: u64, mut draw: Draw) {
        let pool = self.client.pool::<Odd>(draw.queue(SLOTS));
        let job = Odd { number, fails: false, padding: String::new() };
        let (slot, key) = (draw.random.between(0, 1), draw.name(number));
        let wrong = draw.forbid("slot");
        let build = || {
            let cast = match slot {
                _ if wrong => pool.slot(u16::MAX).cast(job.clone()),
                0 => pool.cast(job.clone()),
                _ => pool.slot(0).cast(job.clone()),
            };
            cast.key(&key)
        };
        let (far, timeout) = (draw.random.percent(25), draw.duration());
        let what = format!("cast {number} slot {slot} timeout {timeout:?}");
        if draw.random.percent(30) && draw.forbidden.is_none() {
            let call = async || build().call::<u64>().timeout(timeout).await;
            match self.answer(&what, call).await {
                None => {}
                Some(Ok(result)) if result == number => {}
                // The pool may be stopped meanwhile.
                Some(Err(error))
                    if error.is_timeout() || error.is_gone() || error.is_not_found() => {}
                Some(other) => self.broken("a call ended wrongly", format!("{what}: {other:?}")),
            }
            return;
        }
        let (after, at) = (draw.duration_if(far), draw.moment(far));
        let absolute = draw.random.percent(50);
        let cast =
            async || if absolute { build().at(at).await } else { build().after(after).await };
        if draw.forbidden.is_some() {
            self.drawn(&what, &draw, cast).await;
        } else if let Some(receipt) = self.good_or_gone(&what, cast).await
            && far
        {
            self.is_due(&what, &receipt).await;
        }
    }

    /// Checks that a cast job waits for its time, and deletes it.
    async fn is_due(&self, what: &str, receipt: &Receipt) {
        if !matches!(receipt.stored, Stored::Due(_)) {
            self.broken("a job does not wait for its time", format!("{what}: {receipt:?}"));
        }
        self.good_or_gone(what, async || self.client.job(receipt).remove().await).await;
    }

    /// Operates the addressed pool.
    pub(super) async fn operate_pool(&self, number: u64, mut draw: Draw) {
        let pool = self.slots();
        let slot = pool.slot(u16::try_from(draw.random.between(0, 1)).unwrap_or(0));
        let what = format!("operate {SLOTS} {number}");
        let size = u16::try_from(draw.random.between(2, LARGEST.into())).unwrap_or(SIZE);
        match draw.random.between(0, 5) {
            0 => {
                let size =
                    if draw.forbid("size") { draw.random.pick(&[0, u16::MAX]) } else { size };
                // Refused while an earlier resize is still in progress.
                match pool.resize(size).await {
                    Ok(()) if draw.forbidden.is_some() => {
                        self.broken("a forbidden setting was accepted", format!("{what}: {size}"));
                    }
                    Err(error) if error.is_invalid() && draw.forbidden.is_none() => {
                        self.broken("an allowed call failed", format!("{what}: {error}"));
                    }
                    _ => {}
                }
            }
            1 => {
                self.good_or_gone(&what, async || slot.stop().await).await;
                self.good_or_gone(&what, async || slot.start().await).await;
            }
            2 => {
                self.good_or_gone(&what, async || pool.stop().await).await;
                self.good_or_gone(&what, async || pool.start().await).await;
            }
            3 => drop(self.good_or_gone(&what, async || pool.slots().await).await),
            4 => drop(self.good_or_gone(&what, async || slot.view().await).await),
            _ => {
                let view = self.good_or_gone(&what, async || pool.view().await).await;
                if view.is_some_and(|view| view.size < 1 || view.size > LARGEST) {
                    self.broken("a pool has a wrong size", what);
                }
            }
        }
    }

    /// Pushes entries, and operates the batcher.
    pub(super) async fn push(&self, number: u64, mut draw: Draw) {
        let batcher = self.client.batcher::<u64>(BATCHER);
        batcher.declare_later(super::options());
        let what = format!("push {number}");
        let (window, patience) = (draw.duration(), draw.duration());
        match draw.random.between(0, 9) {
            0..3 => {
                let token = draw.checked_name(number, 100);
                let push = async || batcher.push(number).wait(patience).token(&token, window).await;
                let what = format!("{what} token {token} {window:?}");
                if self.drawn(&what, &draw, push).await.is_some() && window >= HOUR {
                    self.good(&what, push).await;
                }
            }
            3 => {
                let push = async || batcher.push_front(number).idempotent(window).await;
                self.good(&what, push).await;
            }
            4 => {
                let group = draw.checked_name(number % 5, 128);
                // No name means the group without a name.
                if group.is_empty() {
                    return;
                }
                let push = async || batcher.group(&group).push(number).wait(patience).await;
                self.drawn(&what, &draw, push).await;
            }
            5 => {
                let many = draw.random.pick(&[0, 1, 7, 8, 1_000]);
                let push = async || batcher.push_many(0..many).idempotent(window).await.all();
                if self.good(&what, push).await.is_some_and(|stored| stored != many) {
                    self.broken("a bulk push stored another number", what);
                }
            }
            6 => drop(self.good(&what, async || batcher.flush().await).await),
            7 => {
                let from = draw.random.pick(&[0, 1, u64::MAX]);
                self.good(&what, async || batcher.list(from).await).await;
                self.good_or_gone(&what, async || batcher.pop(u64::MAX).await).await;
            }
            8 => {
                let most = draw.random.pick(&[0, 1, usize::MAX]);
                let open = self.good(&what, async || batcher.open(most).await).await;
                let sealed = self.good(&what, async || batcher.sealed(most).await).await;
                let above = open.is_some_and(|all| all.len() > most)
                    || sealed.is_some_and(|all| all.len() > most);
                if above {
                    self.broken("a list is longer than asked for", format!("{what}: {most}"));
                }
            }
            _ => drop(self.good(&what, async || batcher.sums().await).await),
        }
    }
}
