//! What a client knows of addressed pools, so that a cast needs no question first.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use poolder_core::broker::{Broker, PoolView};
use poolder_core::{Error, QueueName};

/// What is known is asked for again after this time. A resize is noticed at once in any case: the
/// slot refuses what was meant for another size.
const FRESH: Duration = Duration::from_secs(1);
/// At most this many pools are remembered.
const REMEMBERED: usize = 1024;

/// The pools that a client has used.
#[derive(Debug, Default)]
pub(crate) struct PoolCache {
    pools: Mutex<HashMap<QueueName, Arc<CachedPool>>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct CachedPool {
    queue: QueueName,
    view: Mutex<Option<(Instant, Arc<PoolView>)>>,
    /// How many jobs this client has dealt in turn; it starts anywhere, so that many clients do
    /// not all begin with the same slot.
    dealt: AtomicU64,
}

impl PoolCache {
    pub(crate) fn get(&self, queue: &QueueName) -> Arc<CachedPool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = pools.get(queue) {
            return Arc::clone(known);
        }
        // Names may come from users: what is remembered of them is bounded.
        if pools.len() >= REMEMBERED {
            pools.clear();
        }
        let dealt = AtomicU64::new(random() >> 1);
        let known = Arc::new(CachedPool { queue: queue.clone(), view: Mutex::default(), dealt });
        pools.insert(queue.clone(), Arc::clone(&known));
        known
    }
}

impl CachedPool {
    /// What the pool is like, as of a second ago at most.
    pub(crate) async fn view(&self, broker: &Broker) -> Result<Arc<PoolView>, Error> {
        if let Some((since, view)) = &*self.seen()
            && since.elapsed() < FRESH
        {
            return Ok(Arc::clone(view));
        }
        self.renew(broker).await
    }

    /// What the pool is like now.
    pub(crate) async fn renew(&self, broker: &Broker) -> Result<Arc<PoolView>, Error> {
        let asked = Instant::now();
        let view = broker.pool_view(&self.queue).await?.map(Arc::new).ok_or_else(|| {
            Error::gone(format!(
                "no addressed or broadcast pool {} is registered: start a node that serves it \
                 first, with the same namespace; for a shared pool, enqueue",
                self.queue
            ))
        })?;
        *self.seen() = Some((asked, Arc::clone(&view)));
        Ok(view)
    }

    /// The number of the next job that is dealt in turn.
    pub(crate) fn next(&self) -> u64 {
        self.dealt.fetch_add(1, Ordering::Relaxed)
    }

    fn seen(&self) -> MutexGuard<'_, Option<(Instant, Arc<PoolView>)>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A random number: the standard library's hash keys are random enough to spread jobs.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
