//! The heartbeat of a node. It has its own thread and connection: a busy runtime must not make a
//! node look dead, and a stuck one must not make it look alive.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use poolder_core::broker::{Beater, Broker, NodeInfo, NodeName, NodeOrder};
use poolder_core::history::{JournalEvent, JournalRecord};
use poolder_core::{Error, Timestamp, host};
use tokio::sync::watch;

use super::beat_pace::Pace;
use super::introduction::Introduction;
use super::suspicion::{RETRY_INTERVAL, Suspicion};
use crate::process::activity::Activity;
use crate::process::journal::Journal;
use crate::process::liveness::{DeadNodes, Liveness, NodeIdentity, ServerClock};
use crate::process::losses::Losses;
use crate::process::outages::Outages;
use crate::run::guard::{caught, logged};
use crate::run::published::PublishedPools;

/// The handle of the heartbeat's thread. The thread ends when it is dropped.
pub(crate) struct Heartbeat {
    identity: watch::Receiver<NodeIdentity>,
    dead: watch::Receiver<DeadNodes>,
    nodes: watch::Receiver<usize>,
    order: watch::Receiver<Option<NodeOrder>>,
    stop: Sender<StopRequest>,
}

/// Asks the thread to end; with true it leaves the roster first.
struct StopRequest(bool);

impl Heartbeat {
    /// Starts the thread.
    pub(crate) fn start(
        broker: &Broker,
        clock: Arc<ServerClock>,
        liveness: Arc<Liveness>,
        outages: Arc<Outages>,
        (info, pools): (NodeInfo, watch::Receiver<PublishedPools>),
        activity: Arc<Activity>,
        (losses, journal): (Losses, Journal),
    ) -> Result<Self, Error> {
        let name = new_name();
        let (identity, known_identity) = watch::channel(NodeIdentity { name, claims: false });
        let (dead, known_dead) = watch::channel(DeadNodes::default());
        let (nodes, known_nodes) = watch::channel(0);
        let (order, known_order) = watch::channel(None);
        let (stop, commands) = channel();
        let thread_state = HeartbeatThread {
            broker: broker.clone(),
            beater: Beater::new(broker),
            identity,
            dead,
            nodes,
            order,
            clock,
            liveness,
            outages,
            introduction: Introduction::new(info, pools, activity),
            losses,
            journal,
            suspected: Suspicion::default(),
            pace: Pace::of(0),
            before: Pace::of(0),
        };
        std::thread::Builder::new()
            .name("poolder-heartbeat".into())
            .spawn(move || thread_state.run(&commands))
            .map_err(|error| {
                Error::invalid(format!("the heartbeat thread cannot be started: {error}"))
            })?;
        Ok(Self {
            identity: known_identity,
            dead: known_dead,
            nodes: known_nodes,
            order: known_order,
            stop,
        })
    }

    pub(crate) fn identity(&self) -> watch::Receiver<NodeIdentity> {
        self.identity.clone()
    }

    pub(crate) fn dead(&self) -> watch::Receiver<DeadNodes> {
        self.dead.clone()
    }

    /// Returns the number of nodes in the roster, 0 before the first beat is acknowledged.
    pub(crate) fn nodes(&self) -> watch::Receiver<usize> {
        self.nodes.clone()
    }

    /// Returns the order of an operator for this node. It stays when the node takes a new name.
    pub(crate) fn order(&self) -> watch::Receiver<Option<NodeOrder>> {
        self.order.clone()
    }

    /// Ends the thread, and waits for its end until the given time. With `leave` the node leaves the
    /// roster first; it may do so only when it holds no jobs any more.
    pub(crate) async fn stop(mut self, leave: bool, until: tokio::time::Instant) {
        let _ = self.stop.send(StopRequest(leave));
        // The thread owns the sender of the identity.
        let ended = async { while self.identity.changed().await.is_ok() {} };
        let _ = tokio::time::timeout_at(until, ended).await;
    }
}

struct HeartbeatThread {
    broker: Broker,
    beater: Beater,
    identity: watch::Sender<NodeIdentity>,
    dead: watch::Sender<DeadNodes>,
    nodes: watch::Sender<usize>,
    order: watch::Sender<Option<NodeOrder>>,
    clock: Arc<ServerClock>,
    liveness: Arc<Liveness>,
    outages: Arc<Outages>,
    introduction: Introduction,
    losses: Losses,
    journal: Journal,
    suspected: Suspicion,
    /// The times of the next beat, and those of the last one, which were promised with it.
    pace: Pace,
    before: Pace,
}

impl HeartbeatThread {
    fn run(mut self, commands: &Receiver<StopRequest>) {
        loop {
            let started = Instant::now();
            let period = caught(|| self.step(started)).unwrap_or_else(|panic| {
                // A reply may be left on the connection.
                self.beater = Beater::new(&self.broker);
                self.missed(true);
                logged(|| tracing::error!(panic, "a beat panicked and is repeated"));
                RETRY_INTERVAL
            });
            if !self.liveness.is_acknowledged() {
                self.identity.send_if_modified(|me| std::mem::replace(&mut me.claims, false));
            }
            match commands
                .recv_timeout(period.saturating_sub(started.elapsed()).max(RETRY_INTERVAL))
            {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(StopRequest(true)) => {
                    let name = self.identity.borrow().name.clone();
                    if let Err(error) = self.beater.leave(&name) {
                        logged(|| {
                            tracing::warn!(
                                %error,
                                "could not leave the roster; other nodes will mark this one as dead"
                            );
                        });
                    }
                    return;
                }
                Ok(StopRequest(false)) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Sends a beat, if the runtime is alive. Returns the time until the next one. A panic, such as
    /// one of a `tracing` subscriber, counts as a beat that was not acknowledged.
    fn step(&mut self, started: Instant) -> Duration {
        if !self.liveness.is_felt() {
            tracing::error!(
                "the runtime has not ticked for longer than any job may take: no more beats are \
                 sent until it does, so that other nodes take the jobs over"
            );
            return self.before.period;
        }
        match self.beat(started) {
            Ok(()) => {
                self.outages.answered();
                self.before.period
            }
            Err(error) => {
                // While the slot of the roster moves, all servers answer: whether the beats are
                // whole is decided by the interval to the next one.
                self.missed(!self.beater.was_redirected());
                self.outages.failed(&"roster", "a beat was not acknowledged", &error);
                RETRY_INTERVAL
            }
        }
    }

    /// Notes that a beat was not acknowledged, and whether it ends the time of whole beats. The
    /// server may come back without its data, and the reply that says so may be lost: the next
    /// description shows it as well.
    fn missed(&mut self, is_outage: bool) {
        if is_outage {
            self.suspected.beat_failed();
        }
        self.introduction.mark_changed();
    }

    fn beat(&mut self, started: Instant) -> Result<(), Error> {
        let name = self.identity.borrow().name.clone();
        let pace = self.pace;
        let beat = self.beater.beat(&name, pace.extra)?;
        let acknowledged = Instant::now();
        let before = std::mem::replace(&mut self.before, pace);
        self.clock.set(beat.now);
        if beat.marked {
            // Other nodes take over the jobs that ran under the old name.
            let name = new_name();
            self.identity.send_replace(NodeIdentity { name: name.clone(), claims: false });
            self.introduction.begin_anew();
            self.liveness.doubt();
            tracing::error!(new = %name, "this node was declared dead and takes a new name");
            self.beater.beat(&name, pace.extra)?;
            self.note(JournalEvent::NodeCame, &name);
        }
        if beat.added {
            self.note(JournalEvent::NodeCame, &name);
            self.introduction.mark_changed();
            self.report_loss();
        }
        if let Some(count) = beat.nodes {
            self.pace = Pace::of(count);
            self.nodes.send_if_modified(|nodes| std::mem::replace(nodes, count) != count);
        }
        self.order.send_if_modified(|known| {
            let next = NodeOrder::after(*known, beat.order);
            std::mem::replace(known, next) != next
        });
        self.introduce(beat.now)?;
        // Claimers notice by themselves when the acknowledged beat is no longer valid; when beats
        // are acknowledged again, this change wakes them.
        let back = !self.liveness.is_acknowledged();
        self.liveness.acknowledge(started, pace.validity);
        self.identity.send_if_modified(|me| !std::mem::replace(&mut me.claims, true) || back);
        // Two beats are consecutive when the second is late by no more than a step may take.
        let times = (before.period + self.beater.limit(), pace.whole);
        let confirmed = self.suspected.confirm((started, acknowledged), times, &beat);
        let mut dead: BTreeSet<String> = beat.dead.into_iter().collect();
        for (node, last_beat) in confirmed {
            // On a slow link many marks would delay the next beat for too long, which goes on with
            // those that are left.
            if started.elapsed() >= pace.period {
                break;
            }
            match self.beater.mark(&node, &last_beat) {
                Ok(true) => {
                    dead.insert(node.clone());
                    tracing::warn!(node, "a node was silent for too long and is declared dead");
                    self.note(JournalEvent::NodeDied, &node);
                }
                Ok(false) => {}
                // The beat was acknowledged all the same. The next one confirms the death again.
                Err(error) => {
                    self.outages.failed(&node, "a node could not be declared dead", &error);
                    break;
                }
            }
        }
        self.dead.send_if_modified(|known| {
            let changed = **known != dead;
            if changed {
                *known = Arc::new(dead);
            }
            changed
        });
        Ok(())
    }

    /// Records an event of a node in the journal.
    fn note(&self, event: JournalEvent, node: &str) {
        self.journal.note(JournalRecord::new(event).node(node));
    }

    fn introduce(&mut self, now: Timestamp) -> Result<(), Error> {
        let Some(info) = self.introduction.due(now) else { return Ok(()) };
        let name = self.identity.borrow().name.clone();
        let added = self.beater.introduce(&name, info).inspect_err(|_| {
            self.introduction.mark_changed();
        })?;
        if added {
            self.report_loss();
        }
        self.introduction.written();
        Ok(())
    }

    /// Reports that the roster does not know this node. If it did, the server has lost the roster,
    /// and most likely everything else.
    fn report_loss(&self) {
        if self.introduction.is_written() {
            self.losses.report();
        }
    }
}

/// Returns a name that no other incarnation has or had.
fn new_name() -> NodeName {
    let host = host(40);
    let host = if host.is_empty() { "node" } else { &host };
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("{host}:{}:{}", std::process::id(), &unique[..12]).into()
}

#[cfg(test)]
mod tests {
    use poolder_core::broker::Config;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// A subscriber that announces each event, and panics.
    struct PanickingSubscriber(Sender<()>);

    impl Subscriber for PanickingSubscriber {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            self.0.send(()).unwrap();
            panic!("a broken subscriber");
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_panic_of_the_subscriber_does_not_end_the_heartbeat() {
        let broker = Broker::new(Config::new("redis://127.0.0.1:1")).unwrap();
        let (identity, _identity) = watch::channel(NodeIdentity { name: new_name(), claims: true });
        let thread_state = HeartbeatThread {
            beater: Beater::new(&broker),
            broker,
            identity,
            dead: watch::channel(DeadNodes::default()).0,
            nodes: watch::channel(0).0,
            order: watch::channel(None).0,
            clock: Arc::default(),
            liveness: Arc::default(),
            outages: Arc::default(),
            introduction: Introduction::new(
                NodeInfo::default(),
                watch::channel(PublishedPools::new()).1,
                Arc::default(),
            ),
            losses: Losses::default(),
            journal: Journal::default(),
            suspected: Suspicion::default(),
            pace: Pace::of(0),
            before: Pace::of(0),
        };
        let ((panics, panicked), (stop, commands)) = (channel(), channel());
        let thread = std::thread::spawn(move || {
            let subscriber = PanickingSubscriber(panics);
            tracing::subscriber::with_default(subscriber, || thread_state.run(&commands));
        });
        // Each beat that is not acknowledged logs an error, and so does its panic.
        for _ in 0..4 {
            panicked.recv().expect("the thread beats on");
        }
        stop.send(StopRequest(false)).unwrap();
        while panicked.recv().is_ok() {}
        thread.join().expect("the thread ends when it is asked to");
    }

    #[test]
    fn names_are_unique_and_fit_for_a_key() {
        let (one, other) = (new_name(), new_name());
        assert_ne!(one, other);
        assert!(one.chars().all(|c| c.is_ascii_graphic()) && one.len() < 80, "{one}");
    }
}
