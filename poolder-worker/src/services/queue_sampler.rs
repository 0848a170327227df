//! Takes a sample of all queues for the history: how many of their jobs wait, run and are dead. One
//! node takes it for all, in the last seconds of each minute.

use std::collections::BTreeMap;
use std::time::Duration;

use poolder_core::broker::{Broker, NodeView};
use poolder_core::history::{HistoryStep, Period, QueueGauges};
use poolder_core::{Error, Partition, QueueName, Timestamp};

/// The time before the end of a minute in which the sample is taken.
const BEFORE_END: Duration = Duration::from_secs(6);
/// The most queues of a sample, and the most partitions of all of them: a partition takes the server
/// some 0.1 ms.
const MOST_QUEUES: usize = 200;
const MOST_PARTITIONS: usize = 1_000;
/// The partitions that are read in one pipeline, unless one queue has more.
const AT_ONCE: usize = 32;

/// Returns true when the sample of the present minute is due; `last` is the minute of the sample
/// before.
pub(super) fn is_due(now: Timestamp, last: Option<Period>) -> bool {
    let minute = Period::of(HistoryStep::Minute, now);
    last != Some(minute) && minute.end().since(now) <= BEFORE_END
}

/// Takes the sample of the present minute, unless another node does.
pub(super) async fn take(broker: &Broker, now: Timestamp) -> Result<(), Error> {
    if !broker.claim_sample(now).await? {
        return Ok(());
    }
    let nodes = broker.nodes().await?;
    let slots = slots(&nodes);
    let (mut sample, mut some, mut left) = (vec![], vec![], MOST_PARTITIONS);
    for queue in broker.queues().await?.into_iter().take(MOST_QUEUES) {
        // A queue that cannot be read, or is too large for the sample, is left out.
        let Ok(partitions) = broker.partitions(&queue).await else { continue };
        if partitions.len() > left {
            continue;
        }
        left -= partitions.len();
        some.extend(partitions);
        if some.len() >= AT_ONCE {
            sample.extend(read(broker, std::mem::take(&mut some)).await);
        }
    }
    sample.extend(read(broker, some).await);
    for (queue, gauges) in &mut sample {
        gauges.slots = slots.get(queue.as_str()).copied().unwrap_or_default();
    }
    broker.store_sample(now, &sample).await
}

/// Reads the gauges of these partitions, those of a queue one after the other, and adds them up. A
/// queue of which a partition cannot be read is left out.
async fn read(broker: &Broker, partitions: Vec<Partition>) -> Vec<(QueueName, QueueGauges)> {
    let gauges = broker.gauges(&partitions).await;
    let mut queues: Vec<(QueueName, Option<QueueGauges>)> = vec![];
    for (partition, gauges) in partitions.into_iter().zip(gauges) {
        match queues.last_mut().filter(|(queue, _)| *queue == partition.queue) {
            Some((_, sum)) => {
                *sum = sum.as_ref().zip(gauges.ok()).map(|(sum, one)| sum.plus(&one));
            }
            None => queues.push((partition.queue, gauges.ok())),
        }
    }
    queues.into_iter().filter_map(|(queue, gauges)| Some((queue, gauges?))).collect()
}

/// Returns the number of slots of each queue.
fn slots(nodes: &[NodeView]) -> BTreeMap<&str, u64> {
    let mut slots = BTreeMap::new();
    for (queue, count) in
        nodes.iter().filter_map(|node| node.info.as_ref()).flat_map(|it| &it.pools)
    {
        *slots.entry(queue.as_str()).or_default() += *count as u64;
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_due_once_in_the_last_seconds_of_a_minute() {
        let at = |seconds: i64| Timestamp::from_millis(1_700_000_040_000 + seconds * 1_000);
        assert!(!is_due(at(0), None) && !is_due(at(53), None));
        assert!(is_due(at(54), None) && is_due(at(59), None));
        let minute = Period::of(HistoryStep::Minute, at(54));
        assert!(!is_due(at(59), Some(minute)) && is_due(at(119), Some(minute)));
    }
}
