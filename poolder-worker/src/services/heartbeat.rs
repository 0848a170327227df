//! Signs of life, from a thread and a connection of their own: a busy runtime must not make a
//! node look dead, and a dead one must not look alive.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use poolder_core::broker::{Beat, Beater, Broker, NodeInfo, NodeName};
use poolder_core::{Error, Timestamp};
use tokio::sync::watch;

use crate::process::liveness::{DeadNodes, Liveness, NodeIdentity, ServerClock};

/// A sign of life this often …
const PERIOD: Duration = Duration::from_secs(2);
/// … and again this soon when it was not acknowledged: after an outage all nodes must have given
/// one before anybody's second finds them silent.
const AGAIN: Duration = Duration::from_millis(500);
/// Two beats count as consecutive when they are at most this far apart.
const CONSECUTIVE: Duration = Duration::from_secs(3);
/// What the node says about itself is repeated this often, should the roster get lost.
const INTRODUCTION: Duration = Duration::from_secs(60);

/// The pools of the node and the slots of each, as they are at the moment.
pub(crate) type PoolSizes = Vec<(String, usize)>;

/// The handle of the heartbeat's thread.
pub(crate) struct Heartbeat {
    identity: watch::Receiver<NodeIdentity>,
    dead: watch::Receiver<DeadNodes>,
    stop: Sender<StopRequest>,
    thread: Option<JoinHandle<()>>,
}

/// The order to end; true to leave the roster.
struct StopRequest(bool);

impl Heartbeat {
    /// Starts the thread.
    pub(crate) fn start(
        broker: &Broker,
        clock: Arc<ServerClock>,
        liveness: Arc<Liveness>,
        info: NodeInfo,
        pools: watch::Receiver<PoolSizes>,
    ) -> Result<Self, Error> {
        let name = new_name();
        let (identity, known_identity) = watch::channel(NodeIdentity { name, claims: false });
        let (dead, known_dead) = watch::channel(DeadNodes::default());
        let (stop, commands) = channel();
        let thread_state = HeartbeatThread {
            beater: Beater::new(broker),
            identity,
            dead,
            clock,
            liveness,
            info,
            pools,
            introduced: None,
            suspected: Suspicion::default(),
        };
        let thread = std::thread::Builder::new()
            .name("poolder-heartbeat".into())
            .spawn(move || thread_state.run(&commands))
            .map_err(|error| Error::invalid(format!("no thread for signs of life: {error}")))?;
        Ok(Self { identity: known_identity, dead: known_dead, stop, thread: Some(thread) })
    }

    pub(crate) fn identity(&self) -> watch::Receiver<NodeIdentity> {
        self.identity.clone()
    }

    pub(crate) fn dead(&self) -> watch::Receiver<DeadNodes> {
        self.dead.clone()
    }

    /// Ends the thread; when all was given back, the node leaves the roster first.
    pub(crate) async fn stop(mut self, leave: bool) {
        let _ = self.stop.send(StopRequest(leave));
        if let Some(thread) = self.thread.take() {
            // Joining blocks for as long as a beat takes.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

struct HeartbeatThread {
    beater: Beater,
    identity: watch::Sender<NodeIdentity>,
    dead: watch::Sender<DeadNodes>,
    clock: Arc<ServerClock>,
    liveness: Arc<Liveness>,
    info: NodeInfo,
    pools: watch::Receiver<PoolSizes>,
    introduced: Option<Instant>,
    suspected: Suspicion,
}

impl HeartbeatThread {
    fn run(mut self, commands: &Receiver<StopRequest>) {
        let mut failing = false;
        loop {
            let started = Instant::now();
            let mut period = PERIOD;
            if self.liveness.is_felt() {
                match self.beat(started) {
                    Ok(()) => failing = false,
                    Err(error) => {
                        // Said once per outage: the claimers say the same, with more to tell.
                        if !std::mem::replace(&mut failing, true) {
                            tracing::warn!(%error, "a sign of life was not acknowledged");
                        }
                        self.suspected = Suspicion::default();
                        period = AGAIN;
                    }
                }
            } else {
                tracing::error!(
                    "the runtime has not ticked for longer than any job may take: no more signs \
                     of life until it does, so that other nodes take the jobs over"
                );
            }
            if !self.liveness.is_acknowledged() {
                self.identity.send_if_modified(|me| std::mem::replace(&mut me.claims, false));
            }
            match commands.recv_timeout(period.saturating_sub(started.elapsed()).max(AGAIN)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(StopRequest(true)) => {
                    let name = self.identity.borrow().name.clone();
                    if let Err(error) = self.beater.leave(&name) {
                        tracing::warn!(%error, "could not leave the roster, others will notice");
                    }
                    return;
                }
                Ok(StopRequest(false)) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn beat(&mut self, started: Instant) -> Result<(), Error> {
        let name = self.identity.borrow().name.clone();
        let beat = self.beater.beat(&name)?;
        self.clock.set(beat.now);
        if beat.marked {
            // Whatever ran under the old name is taken over by others.
            let name = new_name();
            tracing::error!(new = %name, "this node was declared dead and takes a new name");
            self.identity.send_replace(NodeIdentity { name, claims: false });
            self.introduced = None;
            self.liveness.doubt();
            let name = self.identity.borrow().name.clone();
            self.beater.beat(&name)?;
        }
        self.introduce(beat.now)?;
        // Claimers look at the pulse by themselves; when it comes back they must be told.
        let back = !self.liveness.is_acknowledged();
        self.liveness.acknowledge(started);
        self.identity.send_if_modified(|me| !std::mem::replace(&mut me.claims, true) || back);
        let confirmed = self.suspected.confirm(started, &beat);
        let mut news: BTreeSet<String> = beat.dead.into_iter().collect();
        for (node, last_beat) in confirmed {
            if self.beater.mark(&node, &last_beat)? {
                tracing::warn!(node, "a node was silent for too long, it is declared dead");
                news.insert(node);
            }
        }
        self.dead.send_if_modified(|known| {
            let changed = **known != news;
            if changed {
                *known = Arc::new(news);
            }
            changed
        });
        Ok(())
    }

    fn introduce(&mut self, now: Timestamp) -> Result<(), Error> {
        let same = !self.pools.has_changed().unwrap_or(false);
        if same && self.introduced.is_some_and(|at| at.elapsed() < INTRODUCTION) {
            return Ok(());
        }
        self.info.pools.clone_from(&self.pools.borrow_and_update());
        if self.introduced.is_none() {
            self.info.started = now.millis();
        }
        let name = self.identity.borrow().name.clone();
        if let Err(error) = self.beater.introduce(&name, &self.info) {
            self.pools.mark_changed();
            return Err(error);
        }
        self.introduced = Some(Instant::now());
        Ok(())
    }
}

/// Who was silent at the last beat, with the sign of life that was then their last.
#[derive(Debug, Default)]
struct Suspicion {
    at: Option<Instant>,
    silent: Vec<(String, String)>,
}

impl Suspicion {
    /// Those that have been found silent twice in a row, having given no sign of life in between:
    /// a server that was stalled or away makes everybody silent once, but nobody twice.
    fn confirm(&mut self, now: Instant, beat: &Beat) -> Vec<(String, String)> {
        let consecutive =
            self.at.is_some_and(|before| now.saturating_duration_since(before) <= CONSECUTIVE);
        let before = std::mem::replace(&mut self.silent, beat.silent.clone());
        self.at = Some(now);
        if !consecutive {
            return vec![];
        }
        beat.silent.iter().filter(|one| before.contains(one)).cloned().collect()
    }
}

/// A name that no other incarnation ever had.
fn new_name() -> NodeName {
    let host =
        std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let legal = |c: &char| c.is_ascii_alphanumeric() || "_-.".contains(*c);
    let host: String = host.unwrap_or_default().trim().chars().filter(legal).take(40).collect();
    let host = if host.is_empty() { "node" } else { &host };
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("{host}:{}:{}", std::process::id(), &unique[..12]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(silent: &[(&str, &str)]) -> Beat {
        Beat {
            marked: false,
            now: Timestamp::from_millis(0),
            silent: silent.iter().map(|(n, b)| ((*n).to_owned(), (*b).to_owned())).collect(),
            dead: vec![],
        }
    }

    #[test]
    fn only_who_is_silent_twice_in_a_row_is_dead() {
        let mut suspicion = Suspicion::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(suspicion.confirm(at(0), &beat(&[("a", "1"), ("b", "1")])).is_empty());
        // b gave a sign of life that is itself old by now; c is new.
        let found = suspicion.confirm(at(2), &beat(&[("a", "1"), ("b", "2"), ("c", "1")]));
        assert_eq!(found, [("a".to_owned(), "1".to_owned())]);
        // Our own beats were too far apart: we may have been the one who was away.
        assert!(suspicion.confirm(at(6), &beat(&[("b", "2"), ("c", "1")])).is_empty());
        assert_eq!(suspicion.confirm(at(8), &beat(&[("b", "2"), ("c", "1")])).len(), 2);
    }

    #[test]
    fn names_are_unique_and_fit_for_a_key() {
        let (one, other) = (new_name(), new_name());
        assert_ne!(one, other);
        assert!(one.chars().all(|c| c.is_ascii_graphic()) && one.len() < 80, "{one}");
    }
}
