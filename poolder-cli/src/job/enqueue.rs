//! The command that enqueues a job of any kind.

use std::time::Duration;

use clap::Args;
use poolder_core::broker::{PreparedJob, Stored, When};
use poolder_core::{
    Envelope, Error, Format, Headers, JobId, Partition, Policy, QueueName, Timestamp,
};

use serde_json::json;

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::{Exit, Failure};
use crate::many::would_change;
use crate::output::{Report, moment};
use crate::payload;
use crate::values::{LaneName, moment as read_moment};

/// A new job.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The kind of the job, as its worker declares it.
    kind: String,
    /// The payload in JSON; @FILE reads a file, - standard input.
    #[arg(default_value = "null", value_name = "JSON")]
    payload: String,
    /// The queue.
    #[arg(long)]
    queue: String,
    /// The lane in which the job waits.
    #[arg(long, default_value = "normal")]
    lane: LaneName,
    /// Let the job wait this long: 90s, 2h.
    #[arg(long = "in", value_name = "TIME", value_parser = poolder_cron::span, conflicts_with = "at")]
    delay: Option<Duration>,
    /// Let the job wait until this moment: 2026-12-01T08:00:00Z.
    #[arg(long, value_name = "MOMENT", value_parser = read_moment)]
    at: Option<Timestamp>,
    /// An own id for the job.
    #[arg(long, value_name = "TEXT")]
    id: Option<String>,
    /// Enqueue nothing if a job of this own id was enqueued within this time.
    #[arg(long, value_name = "TIME", value_parser = poolder_cron::span, requires = "id")]
    idempotent: Option<Duration>,
    /// The number of attempts before the job is dead [default: 25].
    #[arg(long)]
    attempts: Option<u32>,
    /// Keep how the job ends for this long, so that `poolder job wait` sees each way to end.
    #[arg(long, value_name = "TIME", value_parser = poolder_cron::span)]
    keep_completion: Option<Duration>,
    /// Cancel the job if no slot has started it within this time from when it is ready: 10m, 2h.
    #[arg(long, value_name = "TIME", value_parser = poolder_cron::span)]
    expires: Option<Duration>,
    /// A header; may be given several times.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The version of the payload's shape.
    #[arg(long, default_value_t = 1)]
    version_of_payload: u16,
    #[command(flatten)]
    confirm: Confirm,
}

fn header(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

impl New {
    /// Returns the job in the form in which it is stored.
    fn prepare(&self) -> Result<PreparedJob, Error> {
        let text = payload::read(&self.payload)?;
        let queue = QueueName::new(&self.queue)?;
        let id = match &self.id {
            Some(name) => JobId::named(&queue, name),
            None => JobId::generate(),
        };
        let policy = self.attempts.map(|attempts| Policy::default().attempts(attempts));
        let version = self.version_of_payload;
        let mut envelope =
            Envelope::build(id, &self.kind, version, policy.as_ref(), Format::Json, |out| {
                out.extend(text.as_bytes());
                Ok(())
            })?;
        if let Some(kept) = self.keep_completion {
            envelope = envelope.keeping_completion(kept)?;
        }
        if let Some(time) = self.expires {
            envelope = envelope.expiring_in(time)?;
        }
        if !self.headers.is_empty() {
            let headers = self
                .headers
                .iter()
                .fold(Headers::new(), |headers, (name, value)| headers.with(name, value));
            envelope = envelope.with_headers(&headers)?;
        }
        let when = match (self.delay, self.at) {
            (Some(delay), _) => When::In(delay),
            (None, Some(at)) => When::At(at),
            (None, None) => When::Now,
        };
        let mut prepared = PreparedJob::new(Partition::first(queue), envelope);
        (prepared.lane, prepared.when) = (self.lane.into(), when);
        prepared.idempotent = self.idempotent;
        Ok(prepared)
    }
}

pub(super) async fn run(common: &Common, new: &New) -> Result<Report, Failure> {
    // Made before the connection, so that a wrong payload is reported without a server.
    let prepared = new.prepare()?;
    let client = common.client().await?;
    if client.pool::<()>(&new.queue).view().await.is_ok() {
        let text = format!("queue {} is a pool with addressed slots", new.queue);
        return Err(Failure::new(Exit::Failed, text).hint(
            "its jobs are sent by code, with `client.pool(..).cast(..)`, which picks the slot",
        ));
    }
    if new.confirm.dry_run {
        let (id, lane) = (prepared.envelope.id(), prepared.lane);
        let change = format!("enqueue a job {} on queue {}, lane {lane}", new.kind, new.queue);
        let subject = json!({ "queue": new.queue, "kind": new.kind, "lane": lane, "job": id });
        return Ok(would_change(&change, subject, id));
    }
    let receipt = client.enqueue_by_hand(prepared).await?;
    let job = &receipt.job;
    let line = match &receipt.stored {
        Stored::Due(at) => {
            format!("enqueued job {job} on queue {}, due at {}", new.queue, moment(*at))
        }
        Stored::Already => format!("job {job} was enqueued before: nothing was stored"),
        _ => format!("enqueued job {job} on queue {}, lane {}", new.queue, receipt.lane),
    };
    Ok(Report::new(&receipt).ids([format!("{}/{job}", receipt.partition)]).line(line))
}
