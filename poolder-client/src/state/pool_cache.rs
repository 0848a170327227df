//! Cache of addressed pools, so that a cast need not read the pool first.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use poolder_core::broker::{Broker, PoolView};
use poolder_core::{Error, QueueName};

/// Age at which a cached view is read again. A resize is noticed at once in any case: the cast
/// script refuses a job that was meant for another size.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Largest number of pools that a client remembers.
const MAX_REMEMBERED: usize = 1024;

/// Cache of the pools that a client has used.
#[derive(Debug, Default)]
pub(crate) struct PoolCache {
    pools: Mutex<HashMap<QueueName, Arc<CachedPool>>>,
}

/// One pool of the cache.
#[derive(Debug)]
pub(crate) struct CachedPool {
    queue: QueueName,
    view: Mutex<Option<(Instant, Arc<PoolView>)>>,
    /// Number of the next round-robin job of this client. It starts at random, so that many clients
    /// do not all begin with the same slot.
    counter: AtomicU64,
}

impl PoolCache {
    pub(crate) fn get(&self, queue: &QueueName) -> Arc<CachedPool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = pools.get(queue) {
            return Arc::clone(known);
        }
        // Names may come from users, so the number of remembered pools is bounded.
        if pools.len() >= MAX_REMEMBERED {
            pools.clear();
        }
        let counter = AtomicU64::new(random() >> 1);
        let known = Arc::new(CachedPool { queue: queue.clone(), view: Mutex::default(), counter });
        pools.insert(queue.clone(), Arc::clone(&known));
        known
    }
}

impl CachedPool {
    /// Returns the pool's view, at most a second old.
    pub(crate) async fn view(&self, broker: &Broker) -> Result<Arc<PoolView>, Error> {
        if let Some((since, view)) = &*self.seen()
            && since.elapsed() < MAX_AGE
        {
            return Ok(Arc::clone(view));
        }
        self.renew(broker).await
    }

    /// Reads the pool's view and caches it.
    pub(crate) async fn renew(&self, broker: &Broker) -> Result<Arc<PoolView>, Error> {
        let asked = Instant::now();
        let view = broker.pool_view(&self.queue).await?.map(Arc::new).ok_or_else(|| {
            Error::not_found(format!(
                "no addressed or broadcast pool {} is registered: start a node that serves it \
                 first, with the same namespace; for a shared pool, enqueue",
                self.queue
            ))
        })?;
        *self.seen() = Some((asked, Arc::clone(&view)));
        Ok(view)
    }

    /// Returns the number of the next round-robin job.
    pub(crate) fn next(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    fn seen(&self) -> MutexGuard<'_, Option<(Instant, Arc<PoolView>)>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a random number: the hash keys of the standard library are random enough to spread jobs.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
