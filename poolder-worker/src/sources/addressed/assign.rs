//! Decides which slots of an addressed pool this node shall hold.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolder_core::Partition;
use poolder_core::broker::{PoolHeartbeat, PoolView};
use poolder_core::policy::dispatch::holder;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::holder::SlotHolder;
use super::left::LeftSlots;
use super::retired::RetiredSlots;
use super::slot_context::{Leave, SlotContext};
use crate::process::commands::KnownCommands;
use crate::process::liveness::ShutdownPhase;
use crate::process::watching::{changed, reaches};
use crate::run::engine::Engine;
use crate::run::guard::guarded;
use crate::run::pool::PoolPlan;
use crate::run::pool_spec::PoolSpec;
use crate::services::node_context::NodeContext;

/// How often a node reports that it serves the pool, and reads which other nodes do.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How often a node says that its code declares another size than the registered one.
const SIZE_WARNING: Duration = Duration::from_secs(60);

/// Runs this node's part of an addressed pool until its phase ends it; false when a handler could
/// not be stopped.
pub(crate) async fn run(
    plan: PoolPlan,
    node: NodeContext,
    phase: watch::Sender<ShutdownPhase>,
) -> bool {
    let leased = Arc::default();
    loop {
        let assigner = SlotAssigner {
            spec: Arc::clone(&plan.spec),
            engine: node.engine(&plan.spec, phase.subscribe()),
            node: node.clone(),
            phase: phase.subscribe(),
            view: None,
            holders: HashMap::new(),
            leased: Arc::clone(&leased),
            retired: RetiredSlots::default(),
            left: LeftSlots::default(),
            declared: plan.size,
            compare_at: Instant::now(),
            tasks: JoinSet::new(),
            callbacks: JoinSet::new(),
            ready: Arc::default(),
            announced: false,
            must_stop_pool: false,
            clean: true,
        };
        match guarded(|| Box::pin(assigner.run())).await {
            Ok(clean) => return clean,
            // The panic also ended the slot holders. Their leases still belong to this node, and
            // are acquired again, to serve the slots or to release them.
            Err(panic) => {
                tracing::error!(
                    queue = %plan.spec.queue, panic, "a pool panicked and is restarted"
                );
                tokio::time::sleep(HEARTBEAT).await;
            }
        }
    }
}

struct SlotAssigner {
    spec: Arc<PoolSpec>,
    engine: Arc<Engine>,
    node: NodeContext,
    phase: watch::Receiver<ShutdownPhase>,
    /// The state of the pool as of the last heartbeat; `None` before the first.
    view: Option<watch::Sender<Arc<PoolView>>>,
    /// The slots that this node holds or shall hold.
    holders: HashMap<u16, watch::Sender<Leave>>,
    /// The slots whose leases this node may hold: those of the holders, and of holders that have
    /// panicked.
    leased: Arc<Mutex<BTreeSet<u16>>>,
    /// The slots out of service, in which late jobs may be.
    retired: RetiredSlots,
    /// The slots that this node has released.
    left: LeftSlots,
    /// The number of slots that the code declares.
    declared: u16,
    /// When the declared size is compared with the registered one again.
    compare_at: Instant,
    tasks: JoinSet<(u16, bool)>,
    /// The call of `handle_pool_ready`.
    callbacks: JoinSet<()>,
    /// The number of slots whose `handle_init` has succeeded.
    ready: Arc<AtomicUsize>,
    announced: bool,
    /// True when a job has stopped the pool, and the server does not know yet.
    must_stop_pool: bool,
    clean: bool,
}

impl SlotAssigner {
    async fn run(mut self) -> bool {
        let mut name = String::new();
        loop {
            let phase = *self.phase.borrow_and_update();
            let identity = self.node.identity.borrow_and_update().clone();
            if phase != ShutdownPhase::Run {
                return self.leave(&identity.name).await;
            }
            if identity.claims {
                identity.name.as_ref().clone_into(&mut name);
            }
            let mut phases = self.phase.clone();
            let requests = async {
                if self.must_stop_pool {
                    self.stop_pool().await;
                }
                if identity.claims {
                    if Instant::now() >= self.compare_at {
                        self.compare_size().await;
                    }
                    self.heartbeat(&name).await;
                }
            };
            tokio::select! {
                () = requests => {}
                // A server that does not answer keeps no slot claiming in a shutdown.
                () = reaches(&mut phases, ShutdownPhase::Drain) => continue,
            }
            let spec = Arc::clone(&self.spec);
            tokio::select! {
                () = tokio::time::sleep(HEARTBEAT) => {}
                () = changed(&mut self.phase) => {}
                () = changed(&mut self.node.identity) => {}
                () = changed(&mut self.node.dead) => {}
                Some(ended) = self.tasks.join_next() => self.note(ended),
                () = spec.stop.notified() => self.must_stop_pool = true,
            }
        }
    }

    /// Says, now and again each minute, that the code declares another size than the registered one.
    /// The registered size holds: `resize` changes it, a deploy does not.
    async fn compare_size(&mut self) {
        self.compare_at = Instant::now() + SIZE_WARNING;
        let (queue, declared) = (&self.spec.queue, self.declared);
        match self.node.client.broker().define_pool(queue, self.spec.mode, declared).await {
            Ok(None) => {}
            Ok(Some(size)) => tracing::warn!(
                %queue, declared, size,
                "the pool is registered with another size than the code declares, and keeps it: \
                 resize it (client.pool::<MyJob>(name).resize(declared)), or declare its size"
            ),
            Err(error) => {
                let request = "the size of the pool could not be compared";
                self.node.outages.failed(queue, request, &error);
            }
        }
    }

    /// Reports this node to the pool and reads the pool's state. Then starts holders for the slots
    /// that this node shall hold, and makes the holders of all other slots leave.
    async fn heartbeat(&mut self, name: &str) {
        let broker = self.node.client.broker();
        let view = match broker.pool_heartbeat(&self.spec.queue, name, PoolHeartbeat::Join).await {
            Ok(Some(view)) => Arc::new(view),
            Ok(None) => {
                tracing::warn!(
                    queue = %self.spec.queue,
                    "the pool is no longer registered, and is registered again"
                );
                self.node.losses.report();
                return;
            }
            Err(error) => {
                let request = "the nodes of the pool could not be read";
                self.node.outages.failed(&self.spec.queue, request, &error);
                return;
            }
        };
        let mine = self.mine(name, &view).await;
        // Another node waits for a slot that moves, so its job must be quick. No node waits for the
        // slots of a stopped pool.
        let leave_mode = if view.stopped { Leave::Drain } else { Leave::HandOver };
        for (index, leave) in &self.holders {
            if !mine.contains(index) {
                leave.send_if_modified(|leave| {
                    (*leave == Leave::No).then(|| *leave = leave_mode).is_some()
                });
            }
        }
        let current = self.view.get_or_insert_with(|| watch::Sender::new(Arc::clone(&view)));
        current.send_if_modified(|known| {
            let changed = **known != *view;
            if changed {
                *known = Arc::clone(&view);
            }
            changed
        });
        let own = self.left.look(&self.node.client, &self.spec.queue, name).await;
        // A slot that is served again was acquired after it was left.
        self.leased().extend(own.into_iter().filter(|index| !self.holders.contains_key(index)));
        let leased = self.leased().clone();
        for index in mine.iter().copied().chain(leased) {
            if !self.holders.contains_key(&index) {
                let leave = if mine.contains(&index) { Leave::No } else { leave_mode };
                self.start_holder(index, leave);
            }
        }
        // `handle_pool_ready` is called once, when the slots of this process are ready.
        if !self.announced && !mine.is_empty() && self.ready.load(Ordering::Relaxed) >= mine.len() {
            self.announced = true;
            let spec = Arc::clone(&self.spec);
            self.callbacks.spawn(async move { spec.announce_ready().await });
        }
    }

    /// Returns the slots that this node shall hold.
    async fn mine(&mut self, name: &str, view: &PoolView) -> Vec<u16> {
        if view.stopped {
            return vec![];
        }
        let dead = self.node.dead.borrow().clone();
        let nodes: Vec<&str> = view
            .members
            .iter()
            .map(String::as_str)
            .filter(|member| !dead.contains(*member))
            .collect();
        let queue = &self.spec.queue;
        let is_mine = |index: u16| {
            let slot = Partition { queue: queue.clone(), index };
            holder(&slot, nodes.iter().copied()) == Some(name)
        };
        let late = self.retired.look(&self.node.client, queue, view, is_mine).await;
        (0..view.tail).filter(|index| is_mine(*index)).chain(late.iter().copied()).collect()
    }

    fn leased(&self) -> std::sync::MutexGuard<'_, BTreeSet<u16>> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the holder of a slot. A slot that is to be left is only released, if this node holds
    /// its lease.
    fn start_holder(&mut self, index: u16, leave: Leave) {
        let Some(view) = &self.view else { return };
        let leave = watch::Sender::new(leave);
        let slot = SlotContext {
            partition: Partition { queue: self.spec.queue.clone(), index },
            engine: Arc::clone(&self.engine),
            node: self.node.clone(),
            view: view.subscribe(),
            leave: leave.subscribe(),
            ready: Arc::clone(&self.ready),
            // A placeholder: the holder subscribes to the slot's commands once it has the lease.
            commands: watch::channel(KnownCommands::default()).1,
            moves: None,
            suspect: None,
        };
        let doubt = !self.leased().insert(index);
        self.tasks.spawn(async move { (index, SlotHolder { slot, doubt }.run().await) });
        self.holders.insert(index, leave);
    }

    fn note(&mut self, ended: Result<(u16, bool), tokio::task::JoinError>) {
        match ended {
            Ok((index, clean)) => {
                self.holders.remove(&index);
                self.leased().remove(&index);
                self.left.add(index);
                self.clean &= clean;
            }
            Err(error) => {
                // The error does not name the slot. Running holders keep their leases; the lease of
                // the slot that panicked is acquired again, to serve the slot or to release it.
                tracing::error!(queue = %self.spec.queue, %error, "a slot panicked");
                self.holders.retain(|_, leave| leave.receiver_count() > 0);
            }
        }
    }

    /// Stops the pool in the fleet; the next heartbeat repeats it if it fails.
    async fn stop_pool(&mut self) {
        match self.node.client.broker().stop_pool(&self.spec.queue, true).await {
            Ok(()) => self.must_stop_pool = false,
            Err(error) => {
                let request = "the pool could not be stopped yet";
                self.node.outages.failed(&self.spec.queue, request, &error);
            }
        }
    }

    /// Leaves the pool at shutdown: tells the other nodes, while the slots drain and are released
    /// one by one.
    async fn leave(mut self, name: &str) -> bool {
        let (node, queue) = (self.node.clone(), self.spec.queue.clone());
        let report = async {
            let broker = node.client.broker();
            if let Err(error) = broker.pool_heartbeat(&queue, name, PoolHeartbeat::Leave).await {
                let request = "could not leave the pool, other nodes will notice";
                node.outages.failed(&queue, request, &error);
            }
        };
        let drain = async {
            for leave in self.holders.values() {
                leave.send_replace(Leave::Drain);
            }
            while let Some(ended) = self.tasks.join_next().await {
                self.note(ended);
            }
        };
        tokio::join!(report, drain);
        self.clean && self.leased().is_empty()
    }
}
