//! Measures what it costs to look into large queues: the overview, pages, searches, and a job found
//! by its id alone. The queue `bench` has ready, dead and due jobs; `slots` is an addressed pool.

use std::time::Duration;

use bench_protocol::{Payload, Report, Run, Stopwatch, Work};
use poolder::{
    BoxError, Budget, Client, Context, Cursor, Error, Filter, Handle, Job, Lane, Listing, Mode,
    Node, Outcome, Policy, Pool, worker_fn,
};
use serde::{Deserialize, Serialize};

use super::longest::{Longest, Slow};
use super::{Bench, commands, work};

/// The slots of the addressed pool, and the jobs of each state in each slot.
const SLOTS: u16 = 64;
const SLOT_JOBS: u64 = 100;
/// The most jobs that are sent at once.
const BULK: u64 = 1000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The sizes of pages.
const PAGES: [usize; 2] = [50, 500];

const QUEUE: &str = "slots";

/// The job of a slot.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct InSlot(Payload);

impl Job for InSlot {
    const KINDS: &'static [&'static str] = &["bench.slot"];
    const QUEUE: &'static str = QUEUE;
}

/// Looks into the queues as often as the order says. Each look is measured as a job.
pub(super) async fn run(run: &Run, client: &Client) -> Result<Report, Error> {
    let order = &run.order;
    let handles = prepare(run, client).await?;
    let mut slow = Slow::of(&order.url)?;
    let mut looks = Looks { client, handles, middles: vec![] };
    looks.find_middles().await?;
    // Connections are open and scripts are loaded before anything is measured.
    for look in 0..order.jobs.min(24) {
        looks.look(order.work, look).await?;
    }
    run.ready();
    client.broker().count_round_trips();
    let mut most_trips = 0;
    let (watch, began) = (Stopwatch::new(order.jobs), std::time::Instant::now());
    let mut times = commands::Times::new();
    let by_command = order.work == Work::LookCommand;
    let mut longest = Longest::new(order.work);
    for look in 0..order.jobs {
        slow.reset()?;
        let before = trips(client);
        let started = std::time::Instant::now();
        watch.sends(look);
        looks.look(order.work, look).await?;
        watch.started(look);
        let made = trips(client) - before;
        most_trips = most_trips.max(made);
        if by_command {
            times.add(looks.command(look), started, made);
        }
        longest.add(look, slow.longest()?);
    }
    if by_command {
        times.write();
    }
    let seconds = began.elapsed().as_secs_f64();
    longest.write(by_command.then_some(commands::COMMANDS));
    let longest = longest.of_all();
    let latency = Some(watch.latency());
    Ok(Report {
        jobs: order.jobs,
        seconds,
        latency,
        longest_ms: Some(longest),
        trips: Some(most_trips as f64),
        ..Report::default()
    })
}

/// Fills the queues. Returns the handles of some ready jobs.
async fn prepare(run: &Run, client: &Client) -> Result<Vec<Handle>, Error> {
    let order = &run.order;
    let fail = worker_fn(|job: Bench, _: Context| async move {
        Err::<Outcome, BoxError>(format!("no luck with {}", job.0.n).into())
    });
    let fail_slot = worker_fn(|job: InSlot, _: Context| async move {
        Err::<Outcome, BoxError>(format!("no luck with {}", job.0.n).into())
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let node = Node::builder(client.clone())
        .keep_dead(order.backlog * 2, DAY)
        .pool(Pool::new("bench").size(64).worker(fail))
        .pool(Pool::new(QUEUE).size(SLOTS).mode(Mode::Phash).worker(fail_slot));
    let node = tokio::spawn(node.run_until(async {
        let _ = stopped.await;
    }));
    let once = Policy::default().attempts(1);
    let mut sent = 0;
    while sent < order.backlog {
        let now = BULK.min(order.backlog - sent);
        let dies = |n| {
            let job = client.enqueue(Bench(Payload::new(n, order.payload)));
            job.policy(once.clone()).prepare()
        };
        for result in client.enqueue_prepared((sent..sent + now).map(dies).collect()).await {
            result?;
        }
        sent += now;
    }
    let pool = client.pool::<InSlot>(QUEUE);
    while pool.size().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let in_slot = |n| InSlot(Payload::new(n, order.payload));
    for n in 0..SLOT_JOBS {
        for slot in 0..SLOTS {
            pool.slot(slot).cast(in_slot(n)).policy(once.clone()).await?;
        }
    }
    let dead = order.backlog + SLOT_JOBS * u64::from(SLOTS);
    let all = async || {
        let views = client.overview().await?;
        Ok::<u64, Error>(views.iter().map(|view| view.dead).sum())
    };
    while all().await? < dead {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let _ = stop.send(());
    let _ = node.await;
    for n in 0..SLOT_JOBS {
        for slot in 0..SLOTS {
            pool.slot(slot).cast(in_slot(n)).await?;
            pool.slot(slot).cast(in_slot(n)).after(DAY).await?;
        }
    }
    work::store_delayed(client, order, order.backlog).await?;
    let ready = order.backlog * 10;
    work::bulk(client, order, ready / 2, &bench_protocol::Meter::new(u64::MAX)).await?;
    let mut handles = vec![];
    for n in 0..20 {
        let receipt = client.enqueue(Bench(Payload::new(n, order.payload))).await?;
        handles.push(Handle::from(&receipt));
    }
    work::bulk(client, order, ready / 2, &bench_protocol::Meter::new(u64::MAX)).await?;
    Ok(handles)
}

struct Looks<'a> {
    client: &'a Client,
    handles: Vec<Handle>,
    /// A place in the middle of each of the [`LISTINGS`] of each queue.
    middles: Vec<Option<Cursor>>,
}

/// The queues, and the listings whose pages are read.
const QUEUES: [&str; 2] = ["bench", QUEUE];
const LISTINGS: [Listing; 4] = [Listing::Ready, Listing::Running, Listing::Due, Listing::Dead];

/// Returns how often this process has sent commands and waited for their replies.
fn trips(client: &Client) -> u64 {
    client.broker().round_trips().iter().flat_map(|of| of.times).sum()
}

impl Looks<'_> {
    /// Returns the index of the command that is measured.
    fn command(&self, look: u64) -> usize {
        usize::try_from(look).unwrap_or(0) % commands::COMMANDS.len()
    }

    /// Finds a place in each listing, some jobs behind the first.
    async fn find_middles(&mut self) -> Result<(), Error> {
        for listing in LISTINGS {
            for queue in QUEUES {
                let (queue, budget) = (self.client.inspect(queue), Budget::jobs(30));
                let found = queue.find_where(listing, &Filter::any(), None, budget).await?;
                // A place in the front lane is none of the normal lane, whose pages are read.
                self.middles.push(found.next.filter(|next| !next.to_string().starts_with("front")));
            }
        }
        Ok(())
    }

    async fn look(&self, work: Work, look: u64) -> Result<(), Error> {
        let client = self.client;
        let queue = client.inspect(QUEUES[usize::try_from(look % 2).unwrap_or(0)]);
        let variant = look / 2;
        match work {
            Work::LookOverview if variant.is_multiple_of(2) => drop(queue.overview().await?),
            Work::LookOverview => drop(client.overview().await?),
            Work::LookPage => {
                let most = PAGES[usize::try_from(variant % 2).unwrap_or(0)];
                let (first, listing) = ((variant / 2).is_multiple_of(2), variant / 4 % 4);
                let place = usize::try_from(listing * 2 + look % 2).unwrap_or(0);
                let cursor = if first { None } else { self.middles[place].clone() };
                let page = match listing {
                    0 => queue.ready(Lane::Normal, cursor.as_ref(), most).await?,
                    1 => queue.running(cursor.as_ref(), most).await?,
                    2 => queue.due(cursor.as_ref(), most).await?,
                    _ => queue.dead(cursor.as_ref(), most).await?,
                };
                assert!(listing == 1 || page.jobs.len() == most, "a page is full");
            }
            Work::LookSearch => {
                let of = [Listing::Ready, Listing::Due, Listing::Dead];
                let of = of[usize::try_from(variant % 3).unwrap_or(0)];
                let filter = "kind=bench.* payload.n=99999999 error~nothing".parse()?;
                let found = queue.find_where(of, &filter, None, Budget::default()).await?;
                assert!(found.jobs.is_empty() && found.looked_at > 0 && found.next.is_some());
            }
            Work::LookCommand => {
                let handle = &self.handles[usize::try_from(look).unwrap_or(0) % self.handles.len()];
                commands::run(client, self.command(look), ("bench", QUEUE), handle).await?;
            }
            _ => {
                let handle = &self.handles[usize::try_from(look).unwrap_or(0) % self.handles.len()];
                if look.is_multiple_of(2) {
                    let sighting = client.find(handle.job).await?;
                    assert!(sighting.job.is_some(), "the job is found: {sighting:?}");
                } else {
                    let ahead = client.job(handle).ahead().await?;
                    assert!(ahead.is_some_and(|ahead| !ahead.exact));
                }
            }
        }
        Ok(())
    }
}
