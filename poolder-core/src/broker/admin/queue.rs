//! Reading the state of queues and of their partitions.

use std::collections::BTreeMap;

use redis::{Cmd, Value};

use crate::broker::admin::partitions::partitions_of;
use crate::broker::connection::reply;
use crate::broker::connection::reply::entry_time;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Lane, Partition, QueueName, Timestamp};
use crate::view::{LaneView, LeaderView, PartitionView, QueueState, QueueView, Unreachable};

/// The state of a partition, and the partitions of its queue if it is the first one.
struct Overview {
    view: PartitionView,
    partitions: Vec<Partition>,
}

impl Broker {
    /// Returns the state of a partition at one moment, which one script reads.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn overview(&self, partition: &Partition) -> Result<PartitionView, Error> {
        let call = self.overview_call(partition);
        Ok(read_overview(partition, self.command(&call).await?)?.view)
    }

    /// Returns the state of a queue, over all its partitions.
    ///
    /// # Errors
    /// Returns an error when no partition can be read.
    pub async fn queue_overview(&self, queue: &QueueName) -> Result<QueueView, Error> {
        let (mut views, error) = self.read_overviews(std::slice::from_ref(queue)).await;
        match (views.pop().filter(|view| !view.partitions.is_empty()), error) {
            (Some(view), _) => Ok(view),
            (None, Some(error)) => Err(error),
            (None, None) => Err(Error::protocol("the overview of a queue is missing")),
        }
    }

    /// Returns the state of each of these queues, in two round trips: the first partitions, which
    /// know how many others there are, then all others.
    ///
    /// # Errors
    /// Returns an error when no partition of any queue can be read.
    pub async fn overviews(&self, queues: &[QueueName]) -> Result<Vec<QueueView>, Error> {
        let (views, error) = self.read_overviews(queues).await;
        let any = views.iter().any(|view| !view.partitions.is_empty());
        match error {
            Some(error) if !any => Err(error),
            _ => Ok(views),
        }
    }

    /// Reads the state of each of these queues. Returns the first error as well.
    async fn read_overviews(&self, queues: &[QueueName]) -> (Vec<QueueView>, Option<Error>) {
        let firsts: Vec<Partition> = queues.iter().cloned().map(Partition::first).collect();
        let mut read = self.ask_overviews(&firsts).await;
        let others = read.iter().flatten().flat_map(|first| first.partitions.iter().skip(1));
        let others: Vec<Partition> = others.cloned().collect();
        read.extend(self.ask_overviews(&others).await);
        let mut error = None;
        let each = firsts.into_iter().chain(others).zip(read);
        let mut of_queue: BTreeMap<QueueName, (Vec<PartitionView>, Vec<Unreachable>)> =
            BTreeMap::new();
        for (partition, read) in each {
            let (views, unreachable) = of_queue.entry(partition.queue.clone()).or_default();
            match read {
                Ok(read) => views.push(read.view),
                Err(why) => {
                    unreachable.push(Unreachable::new(partition, &why));
                    error.get_or_insert(why);
                }
            }
        }
        let view = |queue: &QueueName| {
            let (views, unreachable) = of_queue.remove(queue).unwrap_or_default();
            QueueView::of(queue.clone(), views, unreachable)
        };
        (queues.iter().map(view).collect(), error)
    }

    async fn ask_overviews(&self, partitions: &[Partition]) -> Vec<Result<Overview, Error>> {
        let calls: Vec<_> = partitions.iter().map(|part| self.overview_call(part)).collect();
        let replies = self.ask_all(&calls).await.into_iter();
        let read = |(part, reply): (&Partition, Result<Value, Error>)| read_overview(part, reply?);
        partitions.iter().zip(replies).map(read).collect()
    }

    /// Returns the call that reads the state of a partition.
    fn overview_call(&self, partition: &Partition) -> Cmd {
        let keys = self.keys(partition);
        let own = [&keys.due, &keys.dead, &keys.stats, &keys.meta, &keys.leader, &keys.cancelled];
        let jobs = [&keys.bodies, &keys.finished, &keys.limits.jobs];
        let all = keys.ready.iter().chain(own).chain(jobs).map(String::as_str);
        scripts::call(&scripts::OVERVIEW, all)
    }
}

fn read_overview(partition: &Partition, reply: Value) -> Result<Overview, Error> {
    let [now, lanes, due, next, dead, cancels, paused, leader, stats, pool, finished, grouped] =
        reply::items::<12>(reply)?;
    let mut counters = BTreeMap::new();
    let mut stats = reply::array(stats)?.into_iter();
    while let (Some(name), Some(value)) = (stats.next(), stats.next()) {
        // A counter that is not a number is left out; it starts again when it is next counted.
        if let (Ok(name), Ok(value)) = (reply::text(name), count(value)) {
            counters.insert(name, value);
        }
    }
    // The only counter that also decreases: the number of jobs that wait for a retry.
    let retrying = counters.remove("retrying").unwrap_or(0);
    let views = Lane::ALL.into_iter().zip(reply::array(lanes)?);
    let [mode, slots] = reply::items::<2>(pool)?;
    let (mode, slots) = (reply::text(mode).unwrap_or_default(), reply::int(slots)?);
    let state = QueueState {
        now: Timestamp::from_millis(reply::int(now)?),
        paused: moment(paused)?,
        lanes: views.map(|(lane, view)| lane_view(lane, view)).collect::<Result<_, _>>()?,
        grouped: count(grouped)?,
        due: count(due)?,
        retrying,
        next_due: moment(next)?,
        dead: count(dead)?,
        finished: count(finished)?,
        pending_cancels: count(cancels)?,
        leader: leader_view(leader)?,
        counters,
    };
    let view = PartitionView { partition: partition.clone(), state };
    Ok(Overview { view, partitions: partitions_of(&partition.queue, &mode, slots) })
}

fn lane_view(lane: Lane, view: Value) -> Result<LaneView, Error> {
    let [ready, running, oldest] = reply::items::<3>(view)?;
    let oldest = entry_time(&reply::text(oldest)?);
    Ok(LaneView { lane, ready: count(ready)?, running: count(running)?, oldest })
}

fn leader_view(lease: Value) -> Result<Option<LeaderView>, Error> {
    let [node, term, until] = reply::items::<3>(lease)?;
    let (node, term) = (reply::text(node)?, count(term)?);
    Ok(moment(until)?.filter(|_| !node.is_empty()).map(|until| LeaderView { node, term, until }))
}

fn count(value: Value) -> Result<u64, Error> {
    Ok(u64::try_from(reply::int(value)?).unwrap_or(0))
}

/// Reads a time in ms; `None` for a number that is not positive.
fn moment(value: Value) -> Result<Option<Timestamp>, Error> {
    let millis = reply::int(value)?;
    Ok((millis > 0).then(|| Timestamp::from_millis(millis)))
}
