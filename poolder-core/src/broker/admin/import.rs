//! Storing the jobs of an export.

use std::time::Duration;

use serde::Serialize;

use crate::broker::admin::portions::portions;
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition, clamped_millis};
use crate::stored::Envelope;
use crate::view::{KeptJob, KeptState};

/// The time for which a job that was imported is not stored again.
const MARK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The outcome for a job of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Imported {
    /// It was stored.
    Stored,
    /// It was there already, or was imported within the last 7 days.
    There,
    /// Another job holds its unique key.
    KeyIsHeld,
    /// Sixteen jobs of its id are there.
    NoRoom,
}

impl Broker {
    /// Stores jobs of an export, all of one partition, where they were. May be repeated after an
    /// error: a job that was stored is left out then. Returns the outcome of each.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command; some jobs may have been
    /// stored before.
    pub async fn import(
        &self,
        partition: &Partition,
        jobs: &[KeptJob],
    ) -> Result<Vec<Imported>, Error> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        for some in portions(jobs, |job| job.body().len()) {
            outcomes.extend(self.import_some(partition, some).await?);
        }
        Ok(outcomes)
    }

    async fn import_some(
        &self,
        partition: &Partition,
        jobs: &[KeptJob],
    ) -> Result<Vec<Imported>, Error> {
        let keys = self.keys(partition);
        let generation = |job: &KeptJob| match job.id.is_generated() {
            true => None,
            false => job.counters().generation(),
        };
        let marks: Vec<String> =
            jobs.iter().map(|job| keys.imported(job.id, generation(job))).collect();
        let own = [&keys.due, &keys.bodies, &keys.dead, &keys.dead_bodies, &keys.stats];
        let others = [&keys.schedules.running, &keys.unique];
        let all = keys.ready.iter().chain(own).chain(others).chain(&marks);
        let mut cmd = scripts::call(&scripts::IMPORT, all.map(String::as_str));
        cmd.arg(clamped_millis(MARK)).arg(&keys.control);
        for job in jobs {
            let held = job.envelope().and_then(Envelope::unique);
            let tick = job.envelope().and_then(Envelope::tick);
            let tick = tick.filter(|tick| tick.is_alone());
            cmd.arg(job.id.as_bytes()).arg(job.state.as_str()).arg(job.at.millis());
            cmd.arg(job.body()).arg(if job.id.is_generated() { "1" } else { "" });
            let entry = job.entry.as_ref().filter(|_| job.state == KeptState::Ready);
            cmd.arg(entry.map_or("", String::as_str));
            cmd.arg(tick.map_or("", |tick| tick.schedule()));
            match held {
                None => cmd.arg("").arg(0).arg(0),
                Some(held) => cmd
                    .arg(held.key.as_bytes())
                    .arg(clamped_millis(held.hold))
                    .arg(held.mode.number()),
            };
            match generation(job) {
                None => cmd.arg(""),
                Some(at) => cmd.arg(at.millis()),
            };
        }
        let each = reply::bytes(self.command(&cmd).await?)?;
        let outcome = |at| match each.get(at) {
            Some(b'1') => Ok(Imported::Stored),
            Some(b'0') => Ok(Imported::There),
            Some(b'2') => Ok(Imported::KeyIsHeld),
            Some(b'3') => Ok(Imported::NoRoom),
            _ => Err(Error::protocol("import.lua answered something else")),
        };
        (0..jobs.len()).map(outcome).collect()
    }
}
