//! The sampler: one look at the server a second, and one at once when another thing is wanted.

use std::time::Duration;

use futures_util::future::{try_join, try_join_all};
use poolder_client::words::many;
use poolder_client::{Budget, Client};
use poolder_core::Error;
use poolder_core::broker::{NodeView, ScheduleInfo};
use poolder_core::history::{ErrorGroup, HistoryRange};
use poolder_core::view::{Filter, QueueView};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::rates::{Point, Rates};
use super::rows::{self, Waits};
use super::view::{Rows, Sample, Subject, Tab, Wanted};
use crate::output::{Cell, Table, Tone, number};
use crate::{errors, job, node, queue};

/// The time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two looks, when another thing is wanted.
const SOONEST: Duration = Duration::from_millis(250);
/// The time after which the server, and how long jobs waited, are read again.
const KEPT: Duration = Duration::from_secs(5);
/// The time over which it is told how long jobs waited.
const WAITS: Duration = Duration::from_secs(15 * 60);
/// The number of jobs on a page.
const PAGE: usize = 100;

/// Looks at the wanted things until the screen is closed. The next look begins only when the one
/// before has ended, so that a slow server or link is not asked more than it can answer.
pub(super) async fn run(
    client: Client,
    mut wanted: watch::Receiver<Wanted>,
    samples: mpsc::Sender<Sample>,
) {
    let (mut rates, mut kept) = (Rates::default(), Kept::default());
    loop {
        let want = wanted.borrow_and_update().clone();
        let began = Instant::now();
        let mut sample = look(&client, &want, &mut rates, &kept)
            .await
            .unwrap_or_else(|error| Sample { error: Some(error.to_string()), ..Sample::default() });
        sample.took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if samples.send(sample).await.is_err() {
            return;
        }
        // Between two looks, so that the first one does not wait for it.
        kept.renew(&client).await;
        tokio::select! {
            () = sleep_until(began + EVERY) => {}
            changed = wanted.changed() => match changed {
                Ok(()) => sleep_until(began + SOONEST).await,
                Err(_) => return,
            },
        }
    }
}

/// The values that are not read again with each look.
#[derive(Debug, Default)]
struct Kept {
    read: Option<Instant>,
    /// The server's name and version, and the time of a ping.
    server: String,
    waits: Waits,
}

impl Kept {
    /// Reads the server, and how long jobs waited, unless both were read a moment ago. Nothing is
    /// known of what the user may not read.
    async fn renew(&mut self, client: &Client) {
        if self.read.is_some_and(|read| read.elapsed() < KEPT) {
            return;
        }
        self.read = Some(Instant::now());
        // Nodes write their counts more often while the history is watched.
        let _ = client.watch_history().await;
        if let Ok(history) = client.history(None, None, HistoryRange::last(WAITS)).await {
            self.waits = rows::waits(&history);
        }
        if let Ok(servers) = client.servers().await {
            self.server = rows::servers(&servers);
        }
    }
}

async fn look(
    client: &Client,
    want: &Wanted,
    rates: &mut Rates,
    kept: &Kept,
) -> Result<Sample, Error> {
    let read = client
        .read_together(|client| async move { try_join(client.overview(), client.nodes()).await });
    let (views, nodes): (Vec<QueueView>, Vec<NodeView>) = read.await?;
    for view in &views {
        let failed = view.counter("retried") + view.counter("buried");
        let point = Point { at: view.now.millis(), done: view.counter("completed"), failed };
        rates.add(view.queue.as_str(), point);
        rates.see(view);
    }
    rates.keep(|queue| views.iter().any(|view| view.queue.as_str() == queue));
    let mut sample = Sample {
        server: kept.server.clone(),
        sums: rows::sums(&views, rates, nodes.len()),
        attention: rows::calls(&views, &nodes, rates),
        ..Sample::default()
    };
    let named = |name: &String| views.iter().find(|view| view.queue.as_str() == name);
    let here = want.queue.as_ref().and_then(named).or(views.first());
    let (title, (table, subjects), next) = match (want.tab, here) {
        (Tab::Overview, _) => {
            (of_number("queue", &views), rows::overview(&views, rates, &kept.waits), None)
        }
        (Tab::Nodes, _) => {
            let subjects = nodes.iter().map(|node| Subject::Node(node.name.clone())).collect();
            (of_number("node", &nodes), (node::table(&nodes), subjects), None)
        }
        (Tab::Schedules, Some(view)) => {
            let all = schedules(client, &views).await?;
            if let Some(Subject::Schedule { queue, name }) = &want.open {
                let open = |info: &&ScheduleInfo| {
                    info.partition.queue.as_str() == queue && info.name == *name
                };
                sample.pane = all
                    .iter()
                    .find(open)
                    .map_or(vec![], |info| rows::schedule_facts(info, view.now));
            }
            (of_number("schedule", &all), rows::schedules(&all, view.now), None)
        }
        (Tab::Errors, _) => {
            let groups = client.errors().await?;
            let is_open = |group: &&ErrorGroup| want.open == Some(Subject::Error(group.id));
            sample.pane = groups.iter().find(is_open).map_or(vec![], errors::facts);
            let now = match views.first() {
                Some(view) => view.now,
                None => client.time().await?,
            };
            (of_number("error", &groups), rows::errors(&groups, now), None)
        }
        (_, None) => ("no queues".to_owned(), (Table::new(&["QUEUE"]), vec![]), None),
        (Tab::Queue, Some(view)) => {
            sample.pane = queue::facts(view);
            let table = queue::lanes(view);
            let subjects = vec![Subject::Part; table.rows().len()];
            (format!("queue {}", view.queue), (table, subjects), None)
        }
        (Tab::Jobs, Some(view)) => {
            let inspector = client.inspect(&view.queue);
            let (any, after, budget) = (Filter::any(), want.after.as_ref(), Budget::jobs(PAGE));
            let found = inspector.find_where(want.listing, &any, after, budget).await?;
            if let Some(Subject::Job(handle)) = &want.open {
                sample.pane = pane(client, handle).await?;
            }
            let title = format!("{} jobs of {}: {}", want.listing, view.queue, number(found.of));
            (title, rows::jobs(&found.jobs, view.now), found.next)
        }
    };
    sample.rows = Some(Rows { of: want.clone(), title, table, subjects, next });
    Ok(sample)
}

fn of_number<T>(noun: &str, things: &[T]) -> String {
    many(things.len() as u64, noun)
}

/// Returns the facts about the open job, and why it does not run.
async fn pane(
    client: &Client,
    handle: &poolder_core::Handle,
) -> Result<Vec<(String, Cell)>, Error> {
    let job = client.job(handle);
    let why = job.explain().await?;
    let tone = if why.is_stuck() { Tone::Bad } else { Tone::Plain };
    let reason = Cell::new(format!("{}: {}", why.verdict, why.reason)).tone(tone);
    let mut facts = vec![("why".to_owned(), reason)];
    facts.extend(why.hint.map(|hint| ("hint".to_owned(), Cell::new(hint))));
    match job.view().await? {
        Some(view) => facts.extend(job::facts(&view, job.progress().await?)),
        None => facts.push(("job".to_owned(), handle.job.to_string().into())),
    }
    Ok(facts)
}

/// Returns the schedules of all queues.
async fn schedules(client: &Client, views: &[QueueView]) -> Result<Vec<ScheduleInfo>, Error> {
    let read = client.read_together(|client| async move {
        let list = |view: &QueueView| {
            let schedules = client.schedules(&view.queue);
            async move { schedules.list().await }
        };
        try_join_all(views.iter().map(list)).await
    });
    Ok(read.await?.into_iter().flatten().collect())
}
