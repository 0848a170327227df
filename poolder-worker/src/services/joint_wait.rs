//! One blocking read for all pools of a node that have been idle for a while, so that a node with
//! many queues does not keep a connection for each of them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolder_core::Error;
use poolder_core::broker::{
    Broker, ClaimConnection, ConnectionId, DeadLimits, NodeName, WaitPart, Waited,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::process::liveness::ServerClock;
use crate::run::context::past;

/// After the end of a wait, the next one begins when all pools wait again that got no job, or after
/// this long.
const GATHERING: Duration = Duration::from_millis(3);
/// How long the connection is kept while no pool waits.
const KEPT: Duration = Duration::from_secs(10);
/// How often a wait is ended again that had not begun when it was ended.
const ENDED_AGAIN: Duration = Duration::from_millis(20);
/// How long pools wait on their own after a wait for all of them has failed: one of them may be
/// broken, such as by a key of another type, and the others must not suffer from it again and again.
const APART: Duration = Duration::from_secs(60);

/// How many requests of pools may wait; more have to wait themselves.
const WAITING: usize = 64;

/// A pool that waits for jobs together with others.
pub(crate) struct Member {
    pub(crate) part: WaitPart,
    pub(crate) consumer: NodeName,
    /// The connection of the pool, which it needs no longer. The first one is used for the wait.
    pub(crate) connection: Option<Box<ClaimConnection>>,
}

/// The end of a wait for one pool.
pub(crate) struct JointEnd {
    pub(crate) waited: Waited,
    /// The server history in which the jobs were claimed.
    pub(crate) history: Option<Arc<str>>,
    /// True when the wait has failed. The pool may have jobs of which the reply was lost.
    pub(crate) failed: bool,
}

/// A message to [`JointWaiter`].
enum Request {
    Join(Member, oneshot::Sender<JointEnd>),
    End,
}

/// The access of the pools to the common wait.
#[derive(Clone)]
pub(crate) struct JointWait(Arc<Shared>);

struct Shared {
    requests: mpsc::Sender<Request>,
    received: tokio::sync::Mutex<mpsc::Receiver<Request>>,
    /// True when one server has all partitions, and access rules allow to wait for several.
    possible: AtomicBool,
    pools: AtomicUsize,
    /// True once the server has carried out a `CLIENT UNBLOCK`, which access rules may deny.
    proven: AtomicBool,
    apart_until: Mutex<Option<Instant>>,
    visit: tokio::sync::Mutex<()>,
}

impl JointWait {
    pub(crate) fn new(broker: &Broker) -> Self {
        let (requests, received) = mpsc::channel(WAITING);
        Self(Arc::new(Shared {
            requests,
            received: tokio::sync::Mutex::new(received),
            possible: AtomicBool::new(broker.has_one_server()),
            pools: AtomicUsize::new(0),
            proven: AtomicBool::new(false),
            apart_until: Mutex::new(None),
            visit: tokio::sync::Mutex::new(()),
        }))
    }

    /// Counts a pool for as long as the returned value lives.
    pub(crate) fn count_pool(&self) -> CountedPool {
        self.0.pools.fetch_add(1, Ordering::Relaxed);
        CountedPool(self.clone())
    }

    /// Returns true while pools may wait together: there are several, one server has their queues,
    /// and no wait has failed lately.
    pub(crate) fn is_open(&self) -> bool {
        let apart = *self.0.apart_until.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.possible.load(Ordering::Relaxed)
            && self.0.pools.load(Ordering::Relaxed) > 1
            && apart.is_none_or(|until| until <= Instant::now())
    }

    /// Waits for jobs of a pool together with the others. The pool may get jobs even if it drops the
    /// future, and adopts them later.
    pub(crate) async fn wait(self, member: Member) -> Result<JointEnd, Error> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::refused("the common wait of the pools has ended");
        self.0.requests.send(Request::Join(member, answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }

    /// Waits until no other pool visits: the visits of a node are due at the same times, and would
    /// each open a connection.
    pub(crate) async fn turn_to_visit(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.visit.lock().await
    }

    /// Ends the wait that goes on. Every pool then decides anew what to do.
    pub(crate) fn end(&self) {
        // Without a receiver nothing waits, and any of the requests that fill the channel ends the
        // wait as well.
        let _ = self.0.requests.try_send(Request::End);
    }

    /// Keeps the pools apart for a while, or for good where access rules deny what they need.
    fn part(&self, denied: bool) {
        if denied {
            self.0.possible.store(false, Ordering::Relaxed);
        }
        let mut until = self.0.apart_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + APART);
    }
}

/// See [`JointWait::count_pool`].
pub(crate) struct CountedPool(JointWait);

impl Drop for CountedPool {
    fn drop(&mut self) {
        self.0.0.pools.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The members of a wait, and where their answers go.
type Members = Vec<(Member, oneshot::Sender<JointEnd>)>;

/// Waits for the pools of a node.
pub(super) async fn run(
    joint: JointWait,
    broker: Broker,
    limits: DeadLimits,
    clock: Arc<ServerClock>,
) {
    let shared = Arc::clone(&joint.0);
    let mut requests = shared.received.lock().await;
    let mut waiter = JointWaiter { broker, limits, clock, joint, connection: None };
    let (mut members, mut expected): (Members, _) = (vec![], 0);
    loop {
        waiter.gather(&mut requests, &mut members, expected).await;
        let next;
        (expected, next) = waiter.wait(&mut requests, members).await;
        expected += next.len();
        members = next;
    }
}

struct JointWaiter {
    broker: Broker,
    limits: DeadLimits,
    clock: Arc<ServerClock>,
    joint: JointWait,
    connection: Option<Box<ClaimConnection>>,
}

impl JointWaiter {
    /// Adds pools to the members until there are `expected`, or none has come for a while; at least
    /// one.
    async fn gather(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        members: &mut Members,
        expected: usize,
    ) {
        let mut until = Instant::now() + GATHERING;
        while members.len() < expected.max(1) {
            let request = match members.is_empty() {
                false => match timeout_at(until, requests.recv()).await {
                    Ok(request) => request,
                    Err(_) => return,
                },
                true => {
                    let request = match timeout(KEPT, requests.recv()).await {
                        Ok(request) => request,
                        Err(_) => {
                            self.connection = None;
                            requests.recv().await
                        }
                    };
                    until = Instant::now() + GATHERING;
                    request
                }
            };
            if let Some(Request::Join(member, answer)) = request {
                self.add(members, member, answer);
            }
        }
    }

    fn add(
        &mut self,
        members: &mut Members,
        mut member: Member,
        answer: oneshot::Sender<JointEnd>,
    ) {
        let donated = member.connection.take();
        if self.connection.is_none() {
            self.connection = donated;
        }
        members.push((member, answer));
    }

    /// Waits once, and answers the members. Returns how many of them got no job, and the pools that
    /// came meanwhile.
    async fn wait(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        mut members: Members,
    ) -> (usize, Members) {
        let mut next = vec![];
        // A node that was declared dead has another name. Members that have not noticed it are told
        // that nothing came, and look again.
        let name = members.last().map(|(member, _)| Arc::clone(&member.consumer));
        let Some(name) = name else { return (0, next) };
        let (members, renamed): (Members, Members) =
            members.drain(..).partition(|(member, _)| member.consumer == name);
        answer_all(renamed, None, vec![], false);
        let (mut open, id) = match self.open(&name, &members[0].0).await {
            Ok(open) => open,
            Err(error) => return (self.failed(members, &error), next),
        };
        let (history, now) = (open.history(), self.clock.now());
        let parts: Vec<WaitPart> = members.iter().map(|(member, _)| member.part.clone()).collect();
        let mut end_at: Option<Instant> = None;
        let result = {
            let wait = open.wait(&parts, now);
            tokio::pin!(wait);
            loop {
                tokio::select! {
                    result = &mut wait => break result,
                    Some(request) = requests.recv() => {
                        if let Request::Join(member, answer) = request {
                            next.push((member, answer));
                        }
                        end_at.get_or_insert_with(Instant::now);
                    }
                    () = past(end_at) => {
                        // The request may overtake the wait.
                        let again = matches!(self.broker.unblock(&id).await, Ok(false));
                        end_at = Some(Instant::now() + if again { ENDED_AGAIN } else { KEPT });
                    }
                }
            }
        };
        let left = match result {
            Ok(waited) => {
                self.connection = Some(open);
                let idle = waited.iter().filter(|waited| waited.claimed.is_empty()).count();
                answer_all(members, history.as_ref(), waited, false);
                idle
            }
            Err(error) => self.failed(members, &error),
        };
        // Connections of pools that came meanwhile are not needed.
        for (member, _) in &mut next {
            member.connection = None;
        }
        (left, next)
    }

    /// Takes the connection of this consumer, or opens one. Returns also its id, by which the wait is
    /// ended when another pool comes. Without it the other pool would have to wait for the end.
    async fn open(
        &mut self,
        consumer: &NodeName,
        member: &Member,
    ) -> Result<(Box<ClaimConnection>, ConnectionId), Error> {
        let kept = self.connection.take().filter(|open| open.consumer() == consumer);
        let open = match kept {
            Some(open) => open,
            None => {
                let (broker, limits) = (&self.broker, self.limits);
                let partition = &member.part.partition;
                Box::new(ClaimConnection::open(broker, partition, consumer, limits).await?)
            }
        };
        let id = open.id().ok_or_else(|| Error::refused("the server does not tell CLIENT ID"))?;
        if !self.joint.0.proven.load(Ordering::Relaxed) {
            self.broker.unblock(&id).await?;
            self.joint.0.proven.store(true, Ordering::Relaxed);
        }
        Ok((open, id))
    }

    /// Lets all members go. Each opens a connection of its own, looks there for jobs whose reply was
    /// lost, and reports what is wrong with its queue.
    fn failed(&self, members: Members, error: &Error) -> usize {
        tracing::debug!(%error, "idle pools wait on their own, since they cannot wait together");
        self.joint.part(error.is_auth());
        answer_all(members, None, vec![], true);
        0
    }
}

/// Answers the members with what they got; with nothing where `waited` has no more.
fn answer_all(members: Members, history: Option<&Arc<str>>, waited: Vec<Waited>, failed: bool) {
    let waited = waited.into_iter().chain(std::iter::repeat_with(Waited::default));
    for ((_, answer), waited) in members.into_iter().zip(waited) {
        // A pool that is gone leaves its jobs to be adopted.
        let _ = answer.send(JointEnd { waited, history: history.cloned(), failed });
    }
}
