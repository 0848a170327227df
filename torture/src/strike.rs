//! Carries out a single fault of the plan.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore, watch};

use crate::final_state::{self, Places};
use crate::ledger::{Ledger, Record};
use crate::plan::Fault;
use crate::processes::{Handle, Member};
use crate::proxy::{Conditions, Rules};
use crate::servers::Stand;

/// The time after which a loss is given up, because no matching command was sent.
const LOSS_TIMEOUT: Duration = Duration::from_secs(20);

/// When half of the nodes stop after a primary began to hang, and how long after it was replaced
/// they go on: after two beats of the others, and long before these confirm a death.
const STOPPED_AFTER: Duration = Duration::from_secs(6);
const LATER: Duration = Duration::from_secs(4);

/// The setting of the server that limits replies.
const REPLIES: &str = "client-output-buffer-limit";

/// The note of a fault that did not come about.
const DID_NOT_HAPPEN: &str = "did not happen";

/// The servers and processes that faults can hit.
pub(crate) struct Field {
    pub(crate) stand: Arc<Stand>,
    pub(crate) namespace: String,
    /// All partitions of the run.
    pub(crate) partitions: Vec<String>,
    pub(crate) ledger: Ledger,
    pub(crate) nodes: Vec<Handle>,
    pub(crate) producers: Vec<Handle>,
    pub(crate) node_losses: Arc<Rules>,
    pub(crate) producer_losses: Arc<Rules>,
    /// Limits the number of nodes that are away at a time.
    pub(crate) room: Semaphore,
    /// Limits faults of the server to one at a time.
    pub(crate) server: Mutex<()>,
    pub(crate) faults: AtomicU64,
}

impl Field {
    /// Carries out a fault and records it. Returns whether it came about.
    pub(crate) async fn strike(&self, fault: Fault) -> Result<bool, String> {
        let kind = fault.kind();
        match fault {
            Fault::Kill { victim, away } => self.kill(kind, &self.nodes, victim, away).await,
            Fault::KillProducer { victim, away } => {
                self.kill(kind, &self.producers, victim, away).await
            }
            Fault::Freeze { victim, lasting } => {
                let _room = self.room.acquire().await.map_err(|error| error.to_string())?;
                let Some((handle, member)) = take(&self.nodes, victim).await else {
                    return Ok(false);
                };
                let id = self.begin(kind, &handle.name);
                member.signal("STOP").await?;
                tokio::time::sleep(lasting).await;
                member.signal("CONT").await?;
                self.over(id, "");
                Ok(true)
            }
            Fault::Term { victim, away } => {
                let _room = self.room.acquire().await.map_err(|error| error.to_string())?;
                let Some((handle, mut member)) = take(&self.nodes, victim).await else {
                    return Ok(false);
                };
                let id = self.begin(kind, &handle.name);
                member.signal("TERM").await?;
                let in_time = member.await_end(Duration::from_secs(40)).await;
                member.kill().await?;
                tokio::time::sleep(away).await;
                member.spawn()?;
                self.over(id, if in_time { "" } else { "it did not end by itself" });
                Ok(true)
            }
            Fault::Isolate { victim, lasting } => {
                let _room = self.room.acquire().await.map_err(|error| error.to_string())?;
                let Some((handle, _member)) = take(&self.nodes, victim).await else {
                    return Ok(false);
                };
                let id = self.begin(kind, &handle.name);
                handle.proxy()?.set(|conditions| conditions.frozen = true);
                tokio::time::sleep(lasting).await;
                handle.proxy()?.set(|conditions| conditions.frozen = false);
                self.over(id, "");
                Ok(true)
            }
            Fault::Delay { victim, by, lasting } => {
                self.change(kind, victim, lasting, move |now, on| {
                    now.delay = if on { by } else { Duration::ZERO };
                })
                .await
            }
            Fault::Dribble { victim, lasting } => {
                self.change(kind, victim, lasting, |now, on| now.dribble = on).await
            }
            Fault::Silence { victim, lasting } => {
                self.change(kind, victim, lasting, |now, on| now.silent = on).await
            }
            Fault::Narrow { victim, lasting } => {
                self.change(kind, victim, lasting, |now, on| now.narrow = on).await
            }
            Fault::HalfClose { victim } => {
                let handle = one(&self.nodes, victim);
                let id = self.begin(kind, &handle.name);
                handle.proxy()?.half_close();
                self.over(id, "");
                Ok(true)
            }
            Fault::Cut { victim } => {
                let handle = one(&self.nodes, victim);
                let id = self.begin(kind, &handle.name);
                handle.proxy()?.cut();
                self.over(id, "");
                Ok(true)
            }
            Fault::Lose { of_producer, loss, .. } => {
                let rules = if of_producer { &self.producer_losses } else { &self.node_losses };
                let id = self.faults.fetch_add(1, Ordering::Relaxed);
                let note = format!("{} {}", loss.command, if loss.cut { "and cut" } else { "" });
                match tokio::time::timeout(LOSS_TIMEOUT, rules.lose(loss)).await {
                    Ok(Ok(target)) => {
                        self.ledger.write(Record::Fault { id, kind: kind.into(), target });
                        self.over(id, note.trim());
                        Ok(true)
                    }
                    _ => Ok(false),
                }
            }
            hung if kind == crate::reshard::HUNG => {
                let _alone = self.server.lock().await;
                let (tell, replaced) = watch::channel(false);
                let tell = Box::new(move || {
                    tell.send_replace(true);
                });
                let (happened, stopped) =
                    tokio::join!(self.strike_server(kind, hung, tell), self.stop_half(replaced));
                stopped.and(happened)
            }
            of_server => {
                let _alone = self.server.lock().await;
                self.strike_server(kind, of_server, Box::new(|| ())).await
            }
        }
    }

    /// Changes the conditions of the network of a node for a while.
    async fn change(
        &self,
        kind: &str,
        victim: u64,
        lasting: Duration,
        change: impl Fn(&mut Conditions, bool),
    ) -> Result<bool, String> {
        let handle = one(&self.nodes, victim);
        let id = self.begin(kind, &handle.name);
        handle.proxy()?.set(|conditions| change(conditions, true));
        tokio::time::sleep(lasting).await;
        handle.proxy()?.set(|conditions| change(conditions, false));
        self.over(id, "");
        Ok(true)
    }

    /// Stops half of the nodes until a while after a primary that hangs was replaced: they return to
    /// the next one later than the others.
    async fn stop_half(&self, mut replaced: watch::Receiver<bool>) -> Result<(), String> {
        tokio::time::sleep(STOPPED_AFTER).await;
        for node in self.nodes.iter().step_by(2) {
            node.member.lock().await.signal("STOP").await?;
        }
        // Without a sender the fault has failed.
        let _ = replaced.wait_for(|replaced| *replaced).await;
        tokio::time::sleep(LATER).await;
        for node in self.nodes.iter().step_by(2) {
            node.member.lock().await.signal("CONT").await?;
        }
        Ok(())
    }

    /// Returns the same fault, aimed at the leader of the schedule's partition.
    pub(crate) async fn at_leader(&self, fault: Fault) -> Fault {
        let Ok(places) = self.places().await else { return fault };
        let partition = format!("{}.0", crate::ticks::QUEUE);
        let leader = final_state::leader(&places, &self.namespace, &partition).await;
        for (index, node) in (0..).zip(&self.nodes) {
            if leader.is_some() && node.member.lock().await.pid() == leader {
                return fault.aimed_at(index);
            }
        }
        fault
    }

    /// Carries out a fault of the server; the caller holds the lock of the server.
    async fn strike_server(
        &self,
        kind: &str,
        fault: Fault,
        replaced: Box<dyn Fn() + Send>,
    ) -> Result<bool, String> {
        let stand = Arc::clone(&self.stand);
        let stream =
            |lane: &str| format!("{}:{{{}.0}}:ready:{lane}", self.namespace, crate::job::QUEUE);
        let (lasting, begin, end): (Duration, Order, Order) = match fault {
            Fault::KillServer { away } => (
                away,
                Box::new(|stand| {
                    let delayed = stand.info("aof_delayed_fsync").unwrap_or_default();
                    stand.server()?.kill().map_err(|error| error.to_string())?;
                    Ok(format!("aof_delayed_fsync {delayed}"))
                }),
                Box::new(|stand| {
                    stand.server()?.restart().map_err(|error| error.to_string())?;
                    Ok(String::new())
                }),
            ),
            Fault::PauseServer { lasting } => (
                lasting,
                Box::new(|stand| pass(stand.server()?.pause())),
                Box::new(|stand| pass(stand.server()?.resume())),
            ),
            Fault::FlushScripts => (
                Duration::ZERO,
                Box::new(|stand| stand.everywhere(&["SCRIPT", "FLUSH"])),
                Box::new(|_| Ok(String::new())),
            ),
            Fault::DestroyGroups => {
                let streams = ["front", "suspect", "high", "normal", "low"].map(stream);
                let destroy = move |stand: &Stand| {
                    for stream in &streams {
                        // A lane that was never used has no group.
                        let _ = stand.command(&["XGROUP", "DESTROY", stream, "workers"]);
                    }
                    Ok(String::new())
                };
                (Duration::ZERO, Box::new(destroy), Box::new(|_| Ok(String::new())))
            }
            Fault::Exhaust { lasting } => (
                lasting,
                Box::new(|stand| stand.command(&["CONFIG", "SET", "maxmemory", "1mb"])),
                Box::new(|stand| stand.command(&["CONFIG", "SET", "maxmemory", "0"])),
            ),
            Fault::KillConnections => (
                Duration::ZERO,
                Box::new(|stand| {
                    stand.command(&["CLIENT", "KILL", "TYPE", "pubsub"])?;
                    stand.command(&["CLIENT", "KILL", "TYPE", "normal"])
                }),
                Box::new(|_| Ok(String::new())),
            ),
            Fault::SmallReplies { lasting } => (
                lasting,
                Box::new(|stand| stand.command(&["CONFIG", "SET", REPLIES, "normal 1mb 1mb 0"])),
                Box::new(|stand| stand.command(&["CONFIG", "SET", REPLIES, "normal 0 0 0"])),
            ),
            Fault::Fill => (
                Duration::ZERO,
                Box::new(|stand| stand.command(&["CONFIG", "SET", "maxmemory", "1mb"])),
                Box::new(|_| Ok(String::new())),
            ),
            Fault::FailOver(way) => (
                Duration::ZERO,
                Box::new(move |stand: &Stand| {
                    let happened = stand.fail_over(way, &replaced)?;
                    Ok(if happened { String::new() } else { DID_NOT_HAPPEN.into() })
                }),
                Box::new(|_| Ok(String::new())),
            ),
            Fault::Cluster(upheaval) => {
                let namespace = self.namespace.clone();
                let happen = move |stand: &Stand| {
                    let note = upheaval.happen(stand.cluster()?, &namespace, &replaced)?;
                    Ok(note.unwrap_or_else(|| DID_NOT_HAPPEN.into()))
                };
                (Duration::ZERO, Box::new(happen), Box::new(|_| Ok(String::new())))
            }
            Fault::Jump { millis } => {
                let jump = move |stand: &Stand| {
                    let jumped = stand.jump(millis)?;
                    Ok(if jumped { format!("{millis} ms") } else { DID_NOT_HAPPEN.into() })
                };
                (Duration::ZERO, Box::new(jump), Box::new(|_| Ok(String::new())))
            }
            other => return Err(format!("{other:?} is no fault of the server")),
        };
        let id = self.begin(kind, "server");
        let run = |order: Order| {
            let stand = Arc::clone(&stand);
            tokio::task::spawn_blocking(move || order(&stand))
        };
        let note = run(begin).await.map_err(|error| error.to_string())??;
        tokio::time::sleep(lasting).await;
        run(end).await.map_err(|error| error.to_string())??;
        self.over(id, &note);
        Ok(note != DID_NOT_HAPPEN)
    }

    async fn kill(
        &self,
        kind: &str,
        of: &[Handle],
        victim: u64,
        away: Duration,
    ) -> Result<bool, String> {
        let _room = self.room.acquire().await.map_err(|error| error.to_string())?;
        let Some((handle, mut member)) = take(of, victim).await else { return Ok(false) };
        let id = self.begin(kind, &handle.name);
        member.kill().await?;
        tokio::time::sleep(away).await;
        member.spawn()?;
        self.over(id, "");
        Ok(true)
    }

    /// Returns the servers that hold the keys now.
    pub(crate) async fn places(&self) -> Result<Places, String> {
        let (stand, namespace) = (Arc::clone(&self.stand), self.namespace.clone());
        let partitions = self.partitions.clone();
        let places = tokio::task::spawn_blocking(move || stand.places(&namespace, &partitions));
        places.await.map_err(|error| error.to_string())?
    }

    fn begin(&self, kind: &str, target: &str) -> u64 {
        let id = self.faults.fetch_add(1, Ordering::Relaxed);
        self.ledger.write(Record::Fault { id, kind: kind.into(), target: target.into() });
        id
    }

    fn over(&self, id: u64, note: &str) {
        self.ledger.write(Record::Over { id, note: note.into() });
    }
}

type Order = Box<dyn FnOnce(&Stand) -> Result<String, String> + Send>;

fn pass(result: Result<(), poolder_devserver::Error>) -> Result<String, String> {
    result.map(|()| String::new()).map_err(|error| error.to_string())
}

fn one(of: &[Handle], victim: u64) -> &Handle {
    &of[usize::try_from(victim).unwrap_or(0) % of.len()]
}

/// Locks the victim, or the next member that no other fault holds; `None` when all members have
/// finished.
async fn take(of: &[Handle], victim: u64) -> Option<(Handle, OwnedMutexGuard<Member>)> {
    let first = usize::try_from(victim).unwrap_or(0) % of.len();
    loop {
        let mut busy = false;
        for handle in of[first..].iter().chain(&of[..first]) {
            let Ok(mut member) = Arc::clone(&handle.member).try_lock_owned() else {
                busy = true;
                continue;
            };
            if member.is_up() {
                return Some((handle.clone(), member));
            }
            busy |= !member.is_finished();
        }
        if !busy {
            return None;
        }
        // Polling: the release of one of many locks cannot be awaited.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
