//! The reads behind each command of `poolder` that shows something, each measured by itself.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use poolder::{Budget, Client, Error, Filter, Handle, HistoryRange, Listing, QueueName};

/// The commands, in the order in which they are measured.
pub(super) const COMMANDS: &[&str] = &[
    "status",
    "doctor",
    "stats, queue ls",
    "queue get",
    "queue history",
    "history",
    "job ls --state ready",
    "job ls --state running",
    "job ls --state due",
    "job ls --state dead",
    "job get HANDLE",
    "job get ID",
    "job explain",
    "job blast-radius",
    "error ls",
    "error get",
    "node ls",
    "schedule list",
    "batch ls",
    "pool get",
    "pool slots",
    "pool key",
    "metrics",
];

/// The time of a look into the history.
const EIGHT_HOURS: Duration = Duration::from_secs(8 * 60 * 60);

/// Does what the command of this index does. `queue` is the large queue, `slots` an addressed pool,
/// and the handle that of a ready job in the middle of its lane.
pub(super) async fn run(
    client: &Client,
    command: usize,
    (queue, slots): (&str, &str),
    handle: &Handle,
) -> Result<(), Error> {
    let history = HistoryRange::last(EIGHT_HOURS);
    let list = async |listing| {
        let (any, budget) = (Filter::any(), Budget::jobs(50).entries(10_000));
        client.inspect(queue).find_where(listing, &any, None, budget).await
    };
    match COMMANDS[command] {
        "status" => drop(client.status().await?),
        "doctor" => drop(client.doctor().await?),
        "stats, queue ls" => drop(client.overview().await?),
        "queue get" => drop(client.inspect(queue).overview().await?),
        "queue history" => drop(client.history(Some(queue), None, history).await?),
        "history" => drop(client.history(None, None, history).await?),
        "job ls --state ready" => drop(list(Listing::Ready).await?),
        "job ls --state running" => drop(list(Listing::Running).await?),
        "job ls --state due" => drop(list(Listing::Due).await?),
        "job ls --state dead" => drop(list(Listing::Dead).await?),
        "job get HANDLE" => {
            let job = client.job(handle);
            assert!(job.view().await?.is_some(), "the job is found");
            job.progress().await?;
        }
        "job get ID" => {
            let found = client.find(handle.job).await?.job.expect("the job is found");
            client.job(&found).view().await?;
        }
        "job explain" => drop(client.job(handle).explain().await?),
        "job blast-radius" => drop(client.job(handle).blast_radius().await?),
        "error ls" => drop(client.errors().await?),
        "error get" => {
            if let Some(group) = client.errors().await?.first() {
                client.error_history(group.id, history).await?;
            }
        }
        "node ls" => drop(client.nodes().await?),
        "schedule list" => {
            let queues = client.queues().await?;
            let read = client.read_together(|client| async move {
                let list = |queue: &QueueName| {
                    let schedules = client.schedules(queue);
                    async move { schedules.list().await }
                };
                try_join_all(queues.iter().map(list)).await
            });
            read.await?;
        }
        "batch ls" => drop(client.batchers().await?),
        "pool get" => drop(client.pool::<()>(slots).view().await?),
        "pool slots" => drop(client.pool::<()>(slots).slots().await?),
        "pool key" => drop(client.who_holds(slots, "a key").await?),
        _ => drop(client.metrics().text().await?),
    }
    Ok(())
}

/// The times and round trips of each command.
#[derive(Debug)]
pub(super) struct Times {
    millis: Vec<Vec<f64>>,
    trips: Vec<u64>,
}

impl Times {
    pub(super) fn new() -> Self {
        Self { millis: vec![vec![]; COMMANDS.len()], trips: vec![0; COMMANDS.len()] }
    }

    /// Adds one run of a command, which began at this time and made so many round trips.
    pub(super) fn add(&mut self, command: usize, began: Instant, trips: u64) {
        self.millis[command].push(began.elapsed().as_secs_f64() * 1_000.0);
        self.trips[command] = self.trips[command].max(trips);
    }

    /// Writes a table of all commands to standard error.
    pub(super) fn write(&mut self) {
        eprintln!("| command | median ms | most ms | most round trips |\n|---|---|---|---|");
        for (name, (millis, trips)) in COMMANDS.iter().zip(self.millis.iter_mut().zip(&self.trips))
        {
            millis.sort_by(f64::total_cmp);
            let (middle, most) = (millis[millis.len() / 2], millis[millis.len() - 1]);
            eprintln!("| `{name}` | {middle:.1} | {most:.1} | {trips} |");
        }
    }
}
