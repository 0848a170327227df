//! The sampler: one look at the server a second, and one at once when another thing is wanted.

use std::time::Duration;

use futures_util::future::try_join_all;
use poolder_client::{Budget, Client};
use poolder_core::Error;
use poolder_core::broker::ScheduleInfo;
use poolder_core::history::ErrorGroup;
use poolder_core::view::{Filter, QueueView};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::rates::{Point, Rates};
use super::rows;
use super::view::{Rows, Sample, Subject, Tab, Wanted};
use crate::output::{Cell, Table, Tone, number};
use crate::{errors, job, node, queue};

/// The time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two looks, when another thing is wanted.
const SOONEST: Duration = Duration::from_millis(250);
/// The number of jobs on a page.
const PAGE: usize = 100;

/// Looks at the wanted things until the screen is closed. The next look begins only when the one
/// before has ended, so that a slow server or link is not asked more than it can answer.
pub(super) async fn run(
    client: Client,
    mut wanted: watch::Receiver<Wanted>,
    samples: mpsc::Sender<Sample>,
) {
    let mut rates = Rates::default();
    loop {
        let want = wanted.borrow_and_update().clone();
        let began = Instant::now();
        let mut sample = look(&client, &want, &mut rates)
            .await
            .unwrap_or_else(|error| Sample { error: Some(error.to_string()), ..Sample::default() });
        sample.took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if samples.send(sample).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep_until(began + EVERY) => {}
            changed = wanted.changed() => match changed {
                Ok(()) => sleep_until(began + SOONEST).await,
                Err(_) => return,
            },
        }
    }
}

async fn look(client: &Client, want: &Wanted, rates: &mut Rates) -> Result<Sample, Error> {
    let views: Vec<QueueView> = client.overview().await?;
    let nodes = client.nodes().await?;
    for view in &views {
        let failed = view.counter("retried") + view.counter("buried");
        let point = Point { at: view.now.millis(), done: view.counter("completed"), failed };
        rates.add(view.queue.as_str(), point);
        rates.see(view);
    }
    rates.keep(|queue| views.iter().any(|view| view.queue.as_str() == queue));
    let mut sample = Sample {
        sums: rows::sums(&views, rates, nodes.len()),
        attention: rows::calls(&views, &nodes, rates),
        ..Sample::default()
    };
    let named = |name: &String| views.iter().find(|view| view.queue.as_str() == name);
    let here = want.queue.as_ref().and_then(named).or(views.first());
    let (title, (table, subjects), next) = match (want.tab, here) {
        (Tab::Overview, _) => {
            (of_number("queues", views.len()), rows::overview(&views, rates), None)
        }
        (Tab::Nodes, _) => {
            let subjects = nodes.iter().map(|node| Subject::Node(node.name.clone())).collect();
            (of_number("nodes", nodes.len()), (node::table(&nodes), subjects), None)
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
            (of_number("schedules", all.len()), rows::schedules(&all, view.now), None)
        }
        (Tab::Errors, _) => {
            // Nodes write their counts more often while the history is watched.
            let _ = client.watch_history().await;
            let groups = client.errors().await?;
            let is_open = |group: &&ErrorGroup| want.open == Some(Subject::Error(group.id));
            sample.pane = groups.iter().find(is_open).map_or(vec![], errors::facts);
            let now = match views.first() {
                Some(view) => view.now,
                None => client.time().await?,
            };
            (of_number("errors", groups.len()), rows::errors(&groups, now), None)
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

fn of_number(things: &str, count: usize) -> String {
    let things = if count == 1 { things.trim_end_matches('s') } else { things };
    format!("{} {things}", number(count as u64))
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
    let all = views.iter().map(|view| async move { client.schedules(&view.queue).list().await });
    Ok(try_join_all(all).await?.into_iter().flatten().collect())
}
