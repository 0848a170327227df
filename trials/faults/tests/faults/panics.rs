use super::*;
use faults::Server;

struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a guard panics when it is dropped");
        }
    }
}

async fn trial<W: Worker<Job = N>>(
    t: &str,
    s: &Server,
    worker: W,
    policy: poolder::Policy,
    seen: &Seen,
    bad: u64,
) -> bool {
    let c = client(&s.url());
    let node = start(Node::builder(c.clone()).pool(Pool::new("q").size(2).worker(worker)));
    tokio::time::sleep(secs(1)).await;
    for n in 0..bad {
        c.enqueue(N(n)).policy(policy.clone()).await.unwrap();
    }
    tokio::time::sleep(secs(4)).await;
    for n in 100..110 {
        c.enqueue(N(n)).await.unwrap();
    }
    let took = until(15, || async { (100..110).all(|n| seen.has(n)) }).await;
    tokio::time::sleep(secs(2)).await;
    let o = c.inspect("q").overview().await.unwrap();
    say(
        t,
        format!(
            "{bad} bad jobs, then 10 good ones on 2 slots: good ones ran {took:?}; ready {} running {} due {} dead {} completed {}",
            o.ready(),
            o.running(),
            o.due,
            o.dead,
            o.counter("completed")
        ),
    );
    let stop = node.stop().await;
    say(t, format!("the node stopped in {stop:?}"));
    took.is_some() && o.running() == 0
}
fn once() -> poolder::Policy {
    poolder::Policy::default().attempts(1).timeout(ms(300))
}

#[derive(Debug)]
struct Mute;
impl std::fmt::Display for Mute {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("an error that cannot be shown")
    }
}
impl std::error::Error for Mute {}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_panics_when_it_is_shown() {
    let s = Server::start(&[]);
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        async move {
            if n < 100 {
                return Err::<Outcome, BoxError>(Mute.into());
            }
            seen.note(n);
            Ok(Done)
        }
    });
    assert!(trial("display_panic", &s, w, once(), &seen, 2).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_whose_payload_panics() {
    let s = Server::start(&[]);
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        async move {
            if n < 100 {
                std::panic::panic_any(Bomb);
            }
            seen.note(n);
            Done
        }
    });
    assert!(trial("payload_panic", &s, w, once(), &seen, 2).await);
}

/// A worker that shares a lock, which a panic has poisoned: its clone panics, too.
struct Shared(Arc<Mutex<u64>>, Seen);
impl Clone for Shared {
    fn clone(&self) -> Self {
        let _look = self.0.lock().unwrap();
        Self(self.0.clone(), self.1.clone())
    }
}
impl Worker for Shared {
    type Job = N;
    async fn handle_job(&mut self, N(n): N, _: Context) -> poolder::Result<Outcome> {
        if n < 100 {
            let _held = self.0.lock();
            panic!("poisons the lock");
        }
        self.1.note(n);
        Ok(Done)
    }
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_clone_panics() {
    let s = Server::start(&[]);
    let seen = Seen::default();
    assert!(trial("clone_panic", &s, Shared(Arc::default(), seen.clone()), once(), &seen, 2).await);
}

/// Hangfire-like: the payload cannot be built.
#[derive(Clone, Debug, Serialize, Job)]
#[job(kind = "bad", queue = "q")]
struct Bad(u64);
impl<'de> Deserialize<'de> for Bad {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let n = u64::deserialize(d)?;
        if n < 100 {
            panic!("a payload that panics");
        }
        Ok(Self(n))
    }
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_that_panics_when_it_is_read() {
    let t = "deser_panic";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |Bad(n): Bad, _: Context| {
        let seen = sn.clone();
        async move {
            seen.note(n);
            Done
        }
    });
    let node = start(Node::builder(c.clone()).pool(Pool::new("q").size(2).worker(w)));
    for n in 0..4 {
        c.enqueue(Bad(n)).policy(once()).await.unwrap();
    }
    tokio::time::sleep(secs(3)).await;
    for n in 100..110 {
        c.enqueue(Bad(n)).await.unwrap();
    }
    let took = until_seen(15, &seen, 10).await;
    tokio::time::sleep(secs(1)).await;
    let o = c.inspect("q").overview().await.unwrap();
    say(t, format!("good ones {took:?}; running {} dead {}", o.running(), o.dead));
    node.stop().await;
    assert!(took.is_some() && o.running() == 0 && o.dead == 4);
}

/// The part of a worker_fn closure before its `async` block panics: a lock, an index, an unwrap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closure_that_panics_before_its_future_exists() {
    let s = Server::start(&[]);
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        let _found = [0u8; 200][if n < 100 { 500 } else { 0 }.min(if n < 100 { 500 } else { 0 })];
        async move {
            seen.note(n);
            Done
        }
    });
    assert!(trial("sync_panic", &s, w, once(), &seen, 2).await);
}
/// For comparison: the same within the future.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_future_that_panics() {
    let s = Server::start(&[]);
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        async move {
            if n < 100 {
                panic!("in the future")
            }
            seen.note(n);
            Done
        }
    });
    assert!(trial("async_panic", &s, w, once(), &seen, 2).await);
}
/// handle_error, handle_init and middleware that panic before their futures exist.
#[derive(Clone)]
struct Early(Seen);
impl Worker for Early {
    type Job = N;
    async fn handle_job(&mut self, N(n): N, _: Context) -> poolder::Result<Outcome> {
        if n < 100 {
            return Err("no".into());
        }
        self.0.note(n);
        Ok(Done)
    }
    fn handle_error(
        &mut self,
        _: N,
        _: Context,
        _: &poolder::BoxError,
    ) -> impl Future<Output = Verdict> + Send {
        if true {
            panic!("handle_error, before its future");
        }
        async { Verdict::Policy }
    }
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_error_that_panics_before_its_future_exists() {
    let s = Server::start(&[]);
    let seen = Seen::default();
    assert!(trial("early_error", &s, Early(seen.clone()), once(), &seen, 2).await);
}

/// The same in an addressed pool: the slot is one in the whole fleet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closure_that_panics_in_an_addressed_pool() {
    let t = "sync_panic_phash";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        if n < 100 {
            panic!("before the future");
        }
        async move {
            seen.note(n);
            Done
        }
    });
    let node = start(
        Node::builder(c.clone()).pool(Pool::new("keyed").mode(Mode::Phash).size(2).worker(w)),
    );
    let pool = c.pool::<N>("keyed").policy(once());
    assert!(until(20, || async { pool.size().await.is_ok() }).await.is_some());
    for n in 0..2u16 {
        pool.slot(n).cast(N(n.into())).await.unwrap();
    }
    tokio::time::sleep(secs(3)).await;
    for n in 100..110 {
        pool.cast(N(n)).key(n.to_string()).await.unwrap();
    }
    let took = until(40, || async { (100..110).all(|n| seen.has(n)) }).await;
    say(
        t,
        format!("good ones ran {took:?}; {} of 10", (100..110).filter(|n| seen.has(*n)).count()),
    );
    let stop = node.stop().await;
    say(t, format!("the node stopped in {stop:?}"));
    assert!(took.is_some());
}
