//! Giving dead jobs another life: all attempts anew, crashes forgotten, fences growing on.

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Format, Handle, Partition, State};
use crate::stored::{Envelope, head};
use crate::view::JobView;

/// `revive.lua` takes no more than this many jobs at once …
const REVIVES: usize = 50;
/// … and about this many bytes, but always at least one job.
const BYTES: usize = 1 << 20;

impl Broker {
    /// Puts a dead job back into its lane.
    ///
    /// # Errors
    /// [`Error::is_gone`] when it is not dead, [`Error::is_invalid`] when what died there is no
    /// job.
    pub async fn revive(&self, handle: &Handle) -> Result<(), Error> {
        let view = self.find_dead(handle).await?;
        let envelope = view.envelope().ok_or_else(|| no_job(&view))?;
        self.revive_one(&view, envelope).await
    }

    /// Puts a dead job back into its lane, with another payload.
    ///
    /// # Errors
    /// As [`Broker::revive`], and [`Error::is_too_large`] for a payload above the cap.
    pub async fn revive_with(
        &self,
        handle: &Handle,
        format: Format,
        payload: &[u8],
    ) -> Result<(), Error> {
        let view = self.find_dead(handle).await?;
        let old = view.envelope().ok_or_else(|| no_job(&view))?;
        let edited = old.with_payload(format, payload)?;
        self.revive_one(&view, &edited).await
    }

    /// Puts some of the dead jobs back into their lanes, in bounded steps: of these, those that
    /// still are as they were seen. Returns for each whether it was revived. What is no job stays
    /// where it is.
    ///
    /// # Errors
    /// Whatever keeps the server from doing it; some may have been revived before.
    pub async fn revive_all(
        &self,
        partition: &Partition,
        dead: &[JobView],
    ) -> Result<Vec<bool>, Error> {
        let mut revived = vec![false; dead.len()];
        let jobs = dead.iter().enumerate();
        let jobs: Vec<_> =
            jobs.filter_map(|(at, view)| Some((at, view, view.envelope()?))).collect();
        let mut rest = jobs.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take(REVIVES).take_while(|(.., envelope)| {
                bytes += envelope.as_bytes().len();
                bytes <= BYTES
            });
            let (some, later) = rest.split_at(fits.count().max(1));
            rest = later;
            let each: Vec<_> = some.iter().map(|(_, view, envelope)| (*view, *envelope)).collect();
            let done = self.revive_some(partition, &each).await?;
            some.iter().zip(done).for_each(|((at, ..), done)| revived[*at] = done);
        }
        Ok(revived)
    }

    async fn find_dead(&self, handle: &Handle) -> Result<JobView, Error> {
        match self.find(handle).await? {
            Some(view) if view.state == State::Dead => Ok(view),
            Some(view) => Err(Error::gone(format!("the job is not dead, it is {}", view.state))
                .with_job(handle.job)),
            None => Err(Error::gone("the job is not among the dead").with_job(handle.job)),
        }
    }

    async fn revive_one(&self, view: &JobView, envelope: &Envelope) -> Result<(), Error> {
        match self.revive_some(&view.handle.partition, &[(view, envelope)]).await?.as_slice() {
            [true] => Ok(()),
            _ => Err(Error::gone("the job was revived or deleted meanwhile").with_job(view.id())),
        }
    }

    async fn revive_some(
        &self,
        partition: &Partition,
        jobs: &[(&JobView, &Envelope)],
    ) -> Result<Vec<bool>, Error> {
        let keys = self.keys(partition);
        let records: Vec<String> = jobs.iter().map(|(view, _)| keys.result(view.id())).collect();
        let own = [&keys.dead, &keys.dead_bodies].into_iter();
        let all = own.chain(&keys.ready).chain([&keys.stats]).chain(&records);
        let mut cmd = scripts::call(&scripts::REVIVE, all.map(String::as_str));
        for (view, envelope) in jobs {
            let counters = view.counters.revived();
            cmd.arg(view.id().as_bytes()).arg(view.at.millis());
            cmd.arg(head(counters.home(), &counters)).arg(envelope.as_bytes());
        }
        let each = reply::bytes(self.script(&scripts::REVIVE, &cmd).await?)?;
        Ok((0..jobs.len()).map(|at| each.get(at) == Some(&b'1')).collect())
    }
}

fn no_job(view: &JobView) -> Error {
    Error::invalid("what died there is no job: read its raw bytes, and delete it")
        .with_job(view.id())
}
