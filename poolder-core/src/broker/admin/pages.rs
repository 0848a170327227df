//! Listing the jobs of a partition, page by page. A page has at most 500 jobs and about 1 MiB, but
//! at least one job while jobs are left.

use redis::{Cmd, Value};

use crate::broker::admin::find::is_cancelling;
use crate::broker::admin::job_view::{dead_view, shown, view, waiting_view};
use crate::broker::connection::reply;
use crate::broker::connection::reply::{millis, server_time};
use crate::broker::jobs::pending::listed;
use crate::broker::jobs::value::{SHOWN, StoredValue};
use crate::broker::{Broker, scripts};
use crate::job::{Error, Handle, JobId, Lane, MAX_STORED, Partition, Timestamp};
use crate::view::{After, Cursor, JobView, Page};

/// The most jobs on a page.
const MAX_JOBS: usize = 500;

impl Broker {
    /// Lists jobs that wait in a lane for a free slot, in the order in which they will start.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command;
    /// [`Error::is_invalid`] for a cursor of another listing.
    pub async fn page_of_ready(
        &self,
        partition: &Partition,
        lane: Lane,
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        let keys = self.keys(partition);
        let after = match after.map(|cursor| &cursor.0) {
            None => "",
            Some(After::Entry(of, entry)) if *of == lane => entry,
            Some(_) => return Err(other_listing()),
        };
        let mut cmd = scripts::call(&scripts::LIST_READY, [keys.lane(lane)]);
        cmd.arg(after).arg(most.clamp(1, MAX_JOBS));
        let reply = self.ask_for_page(keys.lane(lane), cmd, &[MAX_STORED]).await?;
        let mut last = None;
        let mut jobs = vec![];
        for (id, fields) in reply::entries(reply)? {
            last = Some(id.clone());
            if let Some(fields) = fields {
                let entry = listed(keys.lane(lane), lane, id, fields);
                jobs.push(view(partition, entry, None));
            }
        }
        let next = last.map(|entry| Cursor(After::Entry(lane, entry.to_string())));
        Ok(Page { jobs, next })
    }

    /// Lists jobs that slots have claimed, lane by lane, in each lane in the order of their
    /// entries.
    ///
    /// # Errors
    /// As [`Broker::page_of_ready`].
    pub async fn page_of_running(
        &self,
        partition: &Partition,
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        let keys = self.keys(partition);
        let (first, mut entry) = match after.map(|cursor| &cursor.0) {
            None => (0, String::new()),
            Some(After::Entry(lane, entry)) => (lane.index(), entry.clone()),
            Some(After::Time(..)) => return Err(other_listing()),
        };
        let mut lanes = Lane::ALL.into_iter().skip(first);
        let mut next = lanes.next();
        while let Some(lane) = next {
            let mut cmd = scripts::call(&scripts::LIST_RUNNING, [keys.lane(lane)]);
            cmd.arg(&entry).arg(most.clamp(1, MAX_JOBS));
            let reply = self.ask_for_page(keys.lane(lane), cmd, &[MAX_STORED]).await?;
            let [last, held] = reply::items::<2>(reply)?;
            entry = reply::text(last)?;
            if entry.is_empty() {
                next = lanes.next();
                continue;
            }
            let now = server_time(self.command(&redis::cmd("TIME")).await?)?;
            let mut jobs = vec![];
            for item in reply::array(held)? {
                let [id, consumer, idle, fields] = reply::items::<4>(item)?;
                let whole = Value::Array(vec![Value::Array(vec![id, fields])]);
                let held = (reply::text(consumer)?, now - millis(reply::int(idle)?));
                if let Some((id, Some(fields))) = reply::entries(whole)?.pop() {
                    let entry = listed(keys.lane(lane), lane, id, fields);
                    jobs.push(view(partition, entry, Some(held)));
                }
            }
            // All entries of this page may have been deleted while they were claimed; the next
            // claimed entries of the lane are read then.
            if !jobs.is_empty() {
                self.note_cancellations(partition, &mut jobs).await?;
                return Ok(Page { jobs, next: Some(Cursor(After::Entry(lane, entry))) });
            }
        }
        Ok(Page { jobs: vec![], next: None })
    }

    /// Lists jobs that wait for their time, the next one first. Members of `due` that are not jobs,
    /// such as timers, are left out.
    ///
    /// # Errors
    /// As [`Broker::page_of_ready`].
    pub async fn page_of_due(
        &self,
        partition: &Partition,
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        let keys = self.keys(partition);
        let own = [keys.due.as_str(), &keys.bodies];
        self.page_by_time(partition, own, ("up", "-inf"), (after, most), waiting_view).await
    }

    /// Lists dead jobs, the last to die first.
    ///
    /// # Errors
    /// As [`Broker::page_of_ready`].
    pub async fn page_of_dead(
        &self,
        partition: &Partition,
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        let keys = self.keys(partition);
        let own = [keys.dead.as_str(), &keys.dead_bodies];
        self.page_by_time(partition, own, ("down", "+inf"), (after, most), dead_view).await
    }

    /// Lists the jobs of `due` or of the dead jobs, by time. `order` is `up` or `down`; `start` is
    /// the time at which the first page begins.
    async fn page_by_time(
        &self,
        partition: &Partition,
        keys: [&str; 2],
        (order, start): (&str, &str),
        (after, most): (Option<&Cursor>, usize),
        of_body: fn(&Handle, Vec<u8>, Timestamp) -> JobView,
    ) -> Result<Page, Error> {
        let (from, skip) = match after.map(|cursor| &cursor.0) {
            None => (start.to_owned(), 0),
            Some(After::Time(at, seen)) => (at.to_string(), *seen),
            Some(After::Entry(..)) => return Err(other_listing()),
        };
        let mut cmd = scripts::call(&scripts::LIST_BY_TIME, keys);
        cmd.arg(order).arg(from).arg(skip).arg(most.clamp(1, MAX_JOBS));
        let mut last = match after.map(|cursor| &cursor.0) {
            Some(After::Time(at, seen)) => Some((*at, *seen)),
            _ => None,
        };
        let (mut jobs, mut any) = (vec![], false);
        let reply = self.ask_for_page(keys[0], cmd, &[MAX_STORED, SHOWN]).await?;
        for item in reply::array(reply)? {
            let [id, at, body, bytes] = reply::items::<4>(item)?;
            let (id, at, read) = (reply::bytes(id)?, reply::int(at)?, reply::bytes(body)?);
            let bytes = usize::try_from(reply::int(bytes)?).unwrap_or(usize::MAX);
            let body = StoredValue { bytes, read };
            any = true;
            last = match last {
                Some((same, seen)) if same == at => Some((at, seen + 1)),
                _ => Some((at, 1)),
            };
            if let (Ok(id), false) = (<[u8; 16]>::try_from(id), body.read.is_empty()) {
                let job = JobId::from_bytes(id);
                let handle = Handle { partition: partition.clone(), job, place: None };
                let at = Timestamp::from_millis(at);
                jobs.push(shown(body, |body| of_body(&handle, body, at)));
            }
        }
        let next = last.filter(|_| any).map(|(at, seen)| Cursor(After::Time(at, seen)));
        Ok(Page { jobs, next })
    }

    /// Runs a script that lists jobs. `limits` are its arguments behind the most bytes of the page.
    async fn ask_for_page(&self, key: &str, cmd: Cmd, limits: &[usize]) -> Result<Value, Error> {
        self.ask_bounded(key, |bytes| {
            let mut cmd = cmd.clone();
            cmd.arg(bytes).arg(limits);
            cmd
        })
        .await
    }

    /// Sets `cancelling` in the views of jobs for which a cancellation is stored.
    async fn note_cancellations(
        &self,
        partition: &Partition,
        jobs: &mut [JobView],
    ) -> Result<(), Error> {
        let mut cmd = redis::cmd("ZMSCORE");
        cmd.arg(&self.keys(partition).cancelled);
        jobs.iter().for_each(|view| {
            cmd.arg(view.id().as_bytes());
        });
        let scores = reply::array(self.command(&cmd).await?)?;
        for (view, score) in jobs.iter_mut().zip(scores) {
            view.cancelling = is_cancelling(view, score)?;
        }
        Ok(())
    }
}

/// The error for a cursor of another listing.
fn other_listing() -> Error {
    Error::invalid("the cursor belongs to another listing: use what this one returned")
}
