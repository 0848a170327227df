//! Random walks over unique jobs of every rule, against a simple reference: who holds each key, and
//! what each enqueue answers. After each step every key in Redis is compared with the reference.
//!
//! `POOLDER_UNIQUE_WALKS=500 cargo xtask test -p poolder --test suite -- unique::machine` walks
//! longer.

use poolder::{
    Cancellation, Handle, JobId, Lane, OnDuplicate, Partition, Place, PreparedJob, QueueName,
    Stored, UniqueMode, When,
};
use poolder_core::broker::{ClaimConnection, DeadLimits, KeySweep, Settled, Settlement};
use poolder_core::policy::decide::{Return, Transition, Wait};
use poolder_core::{Claim, Counters, Envelope, Failure, Format, Timestamp};

use super::reference::{At, Dice, HOUR, Key, Known, MODES, Reference, rule};
use crate::harness::Space;

struct Walk {
    space: Space,
    partition: Partition,
    line: ClaimConnection,
    dice: Dice,
    known: Reference,
    claims: Vec<(usize, Claim)>,
    settled: Vec<Claim>,
    enqueues: u64,
}

impl Walk {
    async fn begin(seed: u64) -> Self {
        let space = Space::new("unique-walk");
        let partition = Partition::first(QueueName::new("q").unwrap());
        let line = space.connection("q", "me").await;
        let (claims, settled, known, enqueues) = (vec![], vec![], Reference::default(), 0);
        let dice = Dice(seed);
        Self { space, partition, line, dice, known, claims, settled, enqueues }
    }

    async fn step(&mut self) {
        match self.dice.below(21) {
            0..7 => self.enqueue().await,
            7..11 => self.claim().await,
            11 | 12 => self.start().await,
            13..17 => self.settle().await,
            17 => self.promote().await,
            18 => self.command().await,
            19 => self.settle_again().await,
            _ => self.release().await,
        }
        self.check().await;
    }

    async fn enqueue(&mut self) {
        let mode = self.dice.pick(&MODES);
        let key: Key = (mode, self.dice.below(2) as u64);
        self.enqueues += 1;
        let data = self.enqueues;
        let queue = &self.partition.queue;
        // Names are used again and again, so that several generations of an id are there.
        let named = mode != UniqueMode::Debounce && self.dice.below(3) == 0;
        let id = if named { JobId::named(queue, &format!("{key:?}")) } else { JobId::generate() };
        let write = |out: &mut Vec<u8>| {
            out.extend(data.to_string().as_bytes());
            Ok(())
        };
        let envelope = Envelope::build(id, "k", 1, None, Format::Json, write).unwrap();
        let mut new = PreparedJob::new(self.partition.clone(), envelope);
        new.lane = self.dice.pick(&[Lane::Normal, Lane::High]);
        if self.dice.below(3) == 0 {
            new.when = When::In(HOUR);
        }
        new.make_unique(&rule(mode).by(&key)).unwrap();
        if !named && self.dice.below(3) == 0 && new.on_duplicate == OnDuplicate::Keep {
            new.on_duplicate = self.dice.pick(&[OnDuplicate::Replace, OnDuplicate::Behind]);
        } else if mode == UniqueMode::KeepLast && self.dice.below(6) == 0 {
            new.on_duplicate = OnDuplicate::Keep;
        }
        let receipt = self.space.client.broker().enqueue(&new).await.unwrap();
        let Reference { jobs, holders, behind, newest } = &mut self.known;
        let stands = holders.get(&key).copied();
        let waiting = behind.get(&key).copied().filter(|_| new.on_duplicate != OnDuplicate::Keep);
        if let Some(at) = waiting {
            assert_eq!((&receipt.stored, receipt.job), (&Stored::Replaced(None), jobs[at].id));
            jobs[at].data = data;
            newest.insert(key, data);
            return;
        }
        let stands = stands.filter(|at| match new.on_duplicate {
            OnDuplicate::Renew(_) => jobs[*at].at == At::Due,
            _ => true,
        });
        let job = Known {
            id,
            key,
            data,
            at: At::Lane,
            started: false,
            tried: false,
            cancelling: false,
            named,
            released: false,
        };
        let Some(at) = stands else {
            assert!(!receipt.is_duplicate(), "{key:?} is free: {receipt:?}");
            let at = if let Stored::Due(_) = receipt.stored { At::Due } else { At::Lane };
            jobs.push(Known { at, ..job });
            holders.insert(key, jobs.len() - 1);
            newest.insert(key, data);
            return;
        };
        let stores_behind = new.on_duplicate == OnDuplicate::Behind
            && matches!(key.0, UniqueMode::UntilDone | UniqueMode::KeepLast)
            && (jobs[at].at != At::Due || jobs[at].tried);
        if stores_behind {
            assert_eq!((&receipt.stored, receipt.job), (&Stored::Behind, id));
            jobs.push(Known { at: At::Behind, ..job });
            behind.insert(key, jobs.len() - 1);
            newest.insert(key, data);
            return;
        }
        let job = &mut jobs[at];
        assert_eq!(receipt.job, job.id, "the job that stands: {receipt:?}");
        match &receipt.stored {
            Stored::Replaced(_) => {
                assert!(new.on_duplicate != OnDuplicate::Keep && job.waits(), "{receipt:?}");
                job.data = data;
                newest.insert(key, data);
            }
            Stored::Duplicate(place) => {
                let replaces = new.on_duplicate != OnDuplicate::Keep;
                assert!(!replaces || !job.waits(), "{job:?}: {receipt:?}");
                let place_is_right = match place {
                    Some(Place::Due(_)) => job.at == At::Due,
                    Some(Place::Entry(..)) => matches!(job.at, At::Lane | At::Claimed),
                    _ => job.named || behind.contains_key(&key),
                };
                // A window outlives its job.
                assert!(place_is_right || key.0 == UniqueMode::Window, "{job:?}: {receipt:?}");
            }
            other => panic!("{key:?} is held by {job:?}: {other:?}"),
        }
    }

    fn number_of(&self, claim: &Claim) -> usize {
        let data: u64 =
            std::str::from_utf8(claim.envelope.raw_job().payload).unwrap().parse().unwrap();
        let found = self
            .known
            .jobs
            .iter()
            .position(|job| job.data == data && job.id == claim.envelope.id());
        found.unwrap_or_else(|| panic!("nothing has stored {data}"))
    }

    async fn claim(&mut self) {
        let lane = self.dice.pick(&[Lane::Normal, Lane::High, Lane::Front]);
        let most = 1 + self.dice.below(3);
        let claimed = self.line.exchange(&[], Some((lane, most)), true).await.unwrap();
        for claim in claimed.claimed.unwrap().jobs {
            let at = self.number_of(&claim);
            assert_eq!(self.known.jobs[at].at, At::Lane, "{:?}", self.known.jobs[at]);
            self.known.jobs[at].at = At::Claimed;
            self.claims.push((at, claim));
        }
    }

    async fn start(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let (at, claim) = self.claims[self.dice.below(self.claims.len())].clone();
        let freed = self.space.client.broker().free_key_at_start(&self.partition, &claim).await;
        let key = self.known.jobs[at].key;
        let expected = key.0.ends_at_start() && self.known.holders.get(&key) == Some(&at);
        assert_eq!(freed.unwrap(), expected, "{:?}", self.known.jobs[at]);
        if key.0.ends_at_start() {
            self.known.jobs[at].started = true;
            self.known.free(at, true);
        }
    }

    async fn settle(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let (at, claim) = self.claims.swap_remove(self.dice.below(self.claims.len()));
        let counters = |change: fn(&mut Counters)| {
            let mut counters = claim.counters.clone();
            counters.deliveries += 1;
            change(&mut counters);
            counters
        };
        let on_request = "cancelled on request";
        let (transition, next) = match self.dice.below(8) {
            0 | 1 => (Transition::Complete, At::Gone),
            2 => (Transition::CompleteWith(b"7".to_vec()), At::Gone),
            3 => {
                let counters = counters(|it| it.failures += 1);
                (Transition::Later { delay: HOUR, counters, why: Wait::Retry }, At::Due)
            }
            4 => {
                let (lane, counters) = (Lane::Front, counters(|_| {}));
                (Transition::Ready { lane, counters, why: Return::Release }, At::Lane)
            }
            5 => {
                let counters = counters(|it| {
                    it.last_failure = Some(Failure::new(poolder::Cause::Error, "no"));
                });
                (Transition::Bury { counters }, At::Dead)
            }
            6 => (Transition::Cancel("why".into()), At::Gone),
            _ => (Transition::Cancel(on_request.into()), At::Gone),
        };
        let asked = matches!(&transition, Transition::Cancel(why) if why == on_request);
        let stopped = self.known.jobs[at].cancelling && !transition.ends();
        let ends = transition.ends() || stopped;
        let settled = self.send(claim.clone(), transition).await;
        assert!(matches!(settled, Settled::Applied), "{settled:?}");
        self.settled.push(claim);
        self.known.jobs[at].tried |= next == At::Due;
        self.known.jobs[at].at = if stopped { At::Gone } else { next };
        if ends {
            self.known.free(at, asked || stopped);
        }
    }

    async fn send(&mut self, claim: Claim, transition: Transition) -> Settled {
        let history = self.line.history().filter(|_| self.dice.below(2) == 0);
        let settlement = Settlement::new(claim, "me".into(), history, transition);
        let limits = DeadLimits::default();
        self.space.client.broker().settle(&self.partition, limits, &[settlement]).await.remove(0)
    }

    /// Settles a claim that was settled before: neither the job nor a key changes.
    async fn settle_again(&mut self) {
        if self.settled.is_empty() {
            return;
        }
        let claim = self.settled[self.dice.below(self.settled.len())].clone();
        let settled = self.send(claim, Transition::Complete).await;
        assert!(matches!(settled, Settled::Fenced), "{settled:?}");
    }

    async fn promote(&mut self) {
        let later = Some(Timestamp::now() + HOUR * 100);
        let broker = self.space.client.broker();
        broker.promote_as_of(&self.partition, later).await.unwrap();
        for job in self.known.jobs.iter_mut().filter(|job| job.at == At::Due) {
            job.at = At::Lane;
        }
    }

    /// Gives a command for a job whose id is its own.
    async fn command(&mut self) {
        let own: Vec<usize> = (0..self.known.jobs.len())
            .filter(|at| !self.known.jobs[*at].named && self.known.jobs[*at].at != At::Gone)
            .collect();
        if own.is_empty() {
            return;
        }
        let at = self.dice.pick(&own);
        let job = self.known.jobs[at].clone();
        let handle = Handle::new(self.partition.queue.clone(), job.id);
        let broker = self.space.client.broker();
        match self.dice.below(5) {
            0 => {
                let expected = match job.at {
                    At::Lane | At::Due | At::Behind => Cancellation::Removed,
                    At::Claimed => Cancellation::Stopping,
                    _ => Cancellation::Dead,
                };
                assert_eq!(broker.cancel(&handle).await.unwrap(), expected, "{job:?}");
                self.known.jobs[at].cancelling |= job.at == At::Claimed;
                if job.waits() {
                    self.known.jobs[at].at = At::Gone;
                    self.known.free(at, true);
                }
            }
            1 => {
                let removed = broker.delete(&handle).await;
                assert_eq!(removed.is_ok(), job.at != At::Claimed, "{job:?}: {removed:?}");
                if removed.is_ok() {
                    self.known.jobs[at].at = At::Gone;
                    self.known.free(at, true);
                }
            }
            2 if job.at == At::Dead => {
                let takes = job.key.0 != UniqueMode::Window;
                let is_free = !self.known.holders.contains_key(&job.key);
                let revived = broker.revive(&handle).await;
                assert_eq!(revived.is_ok(), is_free || !takes, "{job:?}: {revived:?}");
                if revived.is_ok() {
                    self.known.jobs[at].at = At::Lane;
                    self.known.jobs[at].started = false;
                    self.known.jobs[at].tried = false;
                    self.known.jobs[at].cancelling = false;
                    if takes {
                        self.known.jobs[at].released = false;
                        self.known.holders.insert(job.key, at);
                        self.known.newest.insert(job.key, job.data);
                    }
                }
            }
            3 if job.waits() => {
                broker.bury(&handle, "why").await.unwrap();
                self.known.jobs[at].at = At::Dead;
                self.known.free(at, true);
            }
            _ if job.waits() => {
                broker.reschedule(&handle, Some(Timestamp::now() + HOUR)).await.unwrap();
                if job.at == At::Lane {
                    self.known.jobs[at].at = At::Due;
                }
            }
            _ => {}
        }
    }

    /// Releases the key of a job whose id is its own; the job goes on.
    async fn release(&mut self) {
        let inspector = self.space.client.inspect("q");
        let held = inspector.unique_keys(None, 500).await.unwrap().0;
        let own = held.iter().find_map(|view| {
            let holds = |(_, at): &(&Key, &usize)| self.known.jobs[**at].id == view.job.job;
            let (_, at) = self.known.holders.iter().find(holds)?;
            (!self.known.jobs[*at].named).then_some((view, *at))
        });
        let Some((view, at)) = own else { return };
        assert!(inspector.release_unique_key(view).await.unwrap());
        self.known.jobs[at].released = true;
        self.known.free(at, true);
        let broker = self.space.client.broker();
        let swept = broker.sweep_keys(&self.partition, &KeySweep::default()).await.unwrap();
        assert_eq!(swept.freed, 0, "every key has its job");
    }

    /// Compares every key with the reference, and its record with the place of its job.
    async fn check(&self) {
        let (held, next) = self.space.client.inspect("q").unique_keys(None, 500).await.unwrap();
        assert_eq!(next, None);
        assert_eq!(held.len(), self.known.holders.len(), "{held:?} and {:?}", self.known.holders);
        for (key, at) in &self.known.holders {
            let job = &self.known.jobs[*at];
            let of = rule(key.0).by(key).key("k", b"").unwrap();
            let view = held.iter().find(|view| view.key == of).expect("it is held");
            assert_eq!((view.job.job, view.mode), (job.id, key.0));
            let behind = self.known.behind.get(key).map(|at| self.known.jobs[*at].id);
            assert!(behind.is_none() || view.behind == behind, "{view:?}");
            if key.0 == UniqueMode::Window {
                continue;
            }
            let Some(Place::Entry(lane, entry)) = &view.job.place else {
                assert_eq!(job.at, At::Due, "{job:?}: {view:?}");
                continue;
            };
            let mut range = redis::cmd("XRANGE");
            range.arg(self.space.key("q", &format!("ready:{lane}"))).arg(&**entry).arg(&**entry);
            let found: Vec<redis::Value> = self.space.redis(&mut range).await;
            assert!(found.len() == 1 && matches!(job.at, At::Lane | At::Claimed), "{job:?}");
        }
        self.known.check();
    }

    /// Ends every job. Only the windows are left then, and after their release nothing at all.
    async fn finish(mut self) {
        // One that waits behind is due when the holder has ended.
        for _ in 0..2 {
            self.promote().await;
            for lane in Lane::ALL {
                let claimed = self.line.exchange(&[], Some((lane, 400)), true).await.unwrap();
                for claim in claimed.claimed.unwrap().jobs {
                    let at = self.number_of(&claim);
                    self.claims.push((at, claim));
                }
            }
            for (at, claim) in std::mem::take(&mut self.claims) {
                assert!(matches!(self.send(claim, Transition::Complete).await, Settled::Applied));
                self.known.jobs[at].at = At::Gone;
                self.known.free(at, false);
            }
        }
        assert!(!self.known.jobs.iter().any(Known::is_alive), "a job never ran");
        self.check().await;
        let inspector = self.space.client.inspect("q");
        for view in inspector.unique_keys(None, 500).await.unwrap().0 {
            assert_eq!(view.mode, UniqueMode::Window, "{view:?}");
            assert!(inspector.release_unique_key(&view).await.unwrap());
        }
        let broker = self.space.client.broker();
        broker.sweep_keys(&self.partition, &KeySweep::default()).await.unwrap();
        assert!(broker.no_key_is_held(&self.partition).await.unwrap(), "no key is left behind");
    }
}

#[tokio::test]
async fn keys_of_unique_jobs_are_held_as_their_rules_say() {
    let walks = std::env::var("POOLDER_UNIQUE_WALKS").ok().and_then(|text| text.parse().ok());
    for seed in 0..walks.unwrap_or(8) {
        // Shown when the walk fails.
        println!("walk {seed}");
        let mut walk = Walk::begin(seed).await;
        for _ in 0..150 {
            walk.step().await;
        }
        walk.finish().await;
    }
}
