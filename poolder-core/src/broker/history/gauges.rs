//! Samples of the queues: one node takes them once a minute.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;

use super::frames::FrameKind;
use super::roll::store;
use crate::broker::{Broker, scripts};
use crate::history::{
    Counts, HistoryRange, HistoryStep, Period, QueueGauges, QueueHistory, QueuePoint,
};
use crate::job::{Error, QueueName, Timestamp, clamped_millis};

/// The time for which a sample of a minute is not taken again.
const TAKEN: Duration = Duration::from_secs(120);

impl Broker {
    /// Claims the sample of the server's minute. Returns false when another node takes it.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn claim_sample(&self, now: Timestamp) -> Result<bool, Error> {
        let minute = Period::of(HistoryStep::Minute, now);
        let mark = self.roster_keys().history.sampled(minute.number());
        let mut claim = scripts::write("SET", &mark);
        claim.arg(1).arg("NX").arg("PX").arg(clamped_millis(TAKEN));
        Ok(self.command(&claim).await? != Value::Nil)
    }

    /// Stores the sample of a minute.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn store_sample(
        &self,
        now: Timestamp,
        queues: &[(QueueName, QueueGauges)],
    ) -> Result<(), Error> {
        let minute = Period::of(HistoryStep::Minute, now);
        let key = self.roster_keys().history.gauges(minute.step().letter(), minute.number());
        let field =
            |(queue, gauges): &(QueueName, QueueGauges)| (queue.to_string(), gauges.counts());
        let fields: Vec<(String, Counts)> = queues.iter().map(field).collect();
        let mut pipe = redis::pipe();
        store(&mut pipe, &key, &fields, minute);
        for reply in self.pipeline(&pipe).await? {
            reply.map_err(|error| self.classify(error))?;
        }
        Ok(())
    }

    /// Returns the gauges of all queues, or of one, in a range up to now, in order of their names.
    ///
    /// # Errors
    /// [`Error::is_too_large`] when the range holds too much for one read; also returns an error
    /// when the server does not answer or refuses the command.
    pub async fn queue_history(
        &self,
        queue: Option<&QueueName>,
        range: HistoryRange,
    ) -> Result<Vec<QueueHistory>, Error> {
        let now = self.server_now().await?;
        let fields = queue.map(|queue| vec![queue.to_string()]);
        let frames = self.read_range(FrameKind::Gauges, range, now, fields.as_deref()).await?;
        let (mut queues, mut step) = (BTreeMap::<QueueName, BTreeMap<Period, _>>::new(), None);
        for (period, frame) in frames {
            step = Some(period.step().length());
            for (queue, counts) in frame {
                // A name that is none was not written by Poolder.
                let Ok(queue) = QueueName::new(queue) else { continue };
                queues.entry(queue).or_default().insert(period, QueueGauges::read(&counts));
            }
        }
        let step = step.unwrap_or_default();
        let history = |(queue, points): (QueueName, BTreeMap<Period, QueueGauges>)| {
            let points = points.into_iter().map(|(at, gauges)| QueuePoint::new(at.start(), gauges));
            QueueHistory::new(queue, step, points.collect())
        };
        Ok(queues.into_iter().map(history).collect())
    }
}
