//! Schedules that code declares when a node starts.
//!
//! The rule: what the code says counts when it says something new. As long as a declaration is the
//! same as the last one of this name, changes made since, by operators or by jobs, stay.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;

use super::ScheduleInfo;
use super::change::{Edit, foreign, replaced};
use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::{Error, Partition, QueueName, Timestamp, check_name};
use crate::schedule::{Record, Schedule, Status};

/// The longest name of a deploy.
const MAX_DEPLOY: usize = 128;

/// Change a declaration has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Declared {
    /// Schedules that were not there.
    pub added: usize,
    /// Those whose declaration is another than the last.
    pub updated: usize,
    /// Those that were declared just so before.
    pub unchanged: usize,
    /// Those that this owner declared before, and now does not.
    pub disabled: usize,
}

/// A schedule that code declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// The queue that it feeds.
    pub queue: QueueName,
    /// Its name in that queue.
    pub name: String,
    /// Change it is.
    pub schedule: Schedule,
}

impl Broker {
    /// Declares all schedules of an owner. `deploy` is recorded with them.
    ///
    /// A schedule whose declaration is new replaces what is stored, only a pause stays; one whose
    /// declaration is known keeps what was changed since. Change this owner declared before, and now
    /// does not, is disabled, unless it is paused: so it rests until it is resumed. Schedules that were made at run time are left alone, unless code
    /// declares one of the same name: from then on it is the code's.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a schedule that cannot be, or one of another owner; whatever keeps
    /// the server from doing it. Change was declared until then stays: declare again.
    pub async fn declare_schedules(
        &self,
        owner: &str,
        deploy: &str,
        declarations: &[Declaration],
    ) -> Result<Declared, Error> {
        check_name("owner of schedules", owner, 64, "_-.:/")?;
        if deploy.len() > MAX_DEPLOY {
            return Err(Error::invalid(format!(
                "the name of the deploy has {} bytes, the most is {MAX_DEPLOY}",
                deploy.len()
            )));
        }
        let mut by_queue: BTreeMap<QueueName, Vec<(&str, &Schedule)>> = BTreeMap::new();
        for Declaration { queue, name, schedule } in declarations {
            by_queue.entry(queue.clone()).or_default().push((name, schedule));
        }
        // Where it had schedules before, those it no longer declares must be found.
        let before = self.queues_of(owner).await?;
        let now: BTreeSet<QueueName> = by_queue.keys().cloned().collect();
        let all: BTreeSet<QueueName> = before.union(&now).cloned().collect();
        if all != before {
            self.note_queues_of(owner, &all).await?;
        }
        let mut sum = Declared::default();
        for queue in &all {
            let schedules = by_queue.remove(queue).unwrap_or_default();
            let partition = Partition::first(queue.clone());
            let done = self.declare_in(&partition, owner, deploy, &schedules).await?;
            sum.added += done.added;
            sum.updated += done.updated;
            sum.unchanged += done.unchanged;
            sum.disabled += done.disabled;
        }
        if all != now {
            self.note_queues_of(owner, &now).await?;
        }
        Ok(sum)
    }

    /// The same for those of one queue.
    async fn declare_in(
        &self,
        partition: &Partition,
        owner: &str,
        deploy: &str,
        schedules: &[(&str, &Schedule)],
    ) -> Result<Declared, Error> {
        let mut done = Declared::default();
        let mut names = BTreeSet::new();
        for (name, schedule) in schedules {
            schedule.check().map_err(|error| {
                Error::invalid(format!("schedule {name:?} of {owner:?}: {error}"))
            })?;
            if !names.insert(*name) {
                return Err(Error::invalid(format!(
                    "{owner:?} declares schedule {name:?} of queue {} twice: rename one",
                    partition.queue
                )));
            }
        }
        // Most starts of a node find everything as it was, in a few reads.
        let all: Vec<String> = schedules.iter().map(|(name, _)| (*name).to_owned()).collect();
        let known = self.read_schedules(partition, &all).await?;
        for &(name, schedule) in schedules {
            let print = schedule.fingerprint()?;
            let is_known = |info: &&ScheduleInfo| info.name == name;
            let as_it_was = known.iter().find(is_known).is_some_and(|info| {
                info.declared == Some(print)
                    && info.owner.as_deref() == Some(owner)
                    && info.status != Status::Undeclared
                    && info.deploy.as_deref() == Some(deploy)
            });
            if as_it_was {
                done.unchanged += 1;
                continue;
            }
            let (mut what, mut before) = (Change::Unchanged, None);
            let declared = Decision { owner, deploy, print, schedule };
            let info = self
                .edit(partition, name, |found, now| {
                    before = found.and_then(|found| found.deploy.clone());
                    let (edit, did) = declared.edit(name, found, now)?;
                    what = did;
                    Ok(Some(edit))
                })
                .await?;
            match what {
                Change::Added => done.added += 1,
                Change::Updated => {
                    done.updated += 1;
                    tracing::info!(
                        %partition, schedule = name, owner, deploy,
                        before = before.as_deref().unwrap_or("nobody's code"),
                        "the schedule is what this deploy declares, no longer what it was before"
                    );
                }
                Change::Unchanged => done.unchanged += 1,
            }
            if info.next.is_none() && info.status == Status::Active {
                tracing::warn!(%partition, schedule = name, "the schedule never ticks again");
            }
        }
        done.disabled = self.disable_others(partition, owner, deploy, &names).await?;
        Ok(done)
    }

    /// All schedules of an owner.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn schedules_of(
        &self,
        partition: &Partition,
        owner: &str,
    ) -> Result<Vec<ScheduleInfo>, Error> {
        let (mut all, mut cursor) = (vec![], 0);
        loop {
            let (page, next) = self.schedules(partition, cursor).await?;
            all.extend(page.into_iter().filter(|info| info.owner.as_deref() == Some(owner)));
            cursor = next;
            if cursor == 0 {
                return Ok(all);
            }
        }
    }

    async fn queues_of(&self, owner: &str) -> Result<BTreeSet<QueueName>, Error> {
        let mut cmd = redis::cmd("HGET");
        cmd.arg(&self.roster_keys().schedulers).arg(owner);
        let reply = self.command(&cmd).await?;
        if reply == Value::Nil {
            return Ok(BTreeSet::new());
        }
        let text = reply::text(reply)?;
        Ok(text.split(' ').filter_map(|queue| QueueName::new(queue).ok()).collect())
    }

    async fn note_queues_of(&self, owner: &str, queues: &BTreeSet<QueueName>) -> Result<(), Error> {
        let list: Vec<&str> = queues.iter().map(QueueName::as_str).collect();
        let mut cmd = redis::cmd("HSET");
        cmd.arg(&self.roster_keys().schedulers).arg(owner).arg(list.join(" "));
        self.command(&cmd).await.map(|_| ())
    }

    async fn disable_others(
        &self,
        partition: &Partition,
        owner: &str,
        deploy: &str,
        names: &BTreeSet<&str>,
    ) -> Result<usize, Error> {
        let mut disabled = 0;
        for info in self.schedules_of(partition, owner).await? {
            let stays = names.contains(info.name.as_str()) || !info.is_declared();
            // A pause is the operator's, and rests anyway.
            if stays || matches!(info.status, Status::Undeclared | Status::Paused) {
                continue;
            }
            let (from, to) = (Some(info.status), Status::Undeclared);
            match self.set_schedule_status(partition, &info.name, from, to).await {
                Ok(now) if now.status == to => disabled += 1,
                Ok(_) => continue,
                Err(error) if error.is_gone() => continue,
                Err(error) => return Err(error),
            }
            tracing::info!(
                %partition, schedule = info.name, owner, deploy,
                before = info.deploy.as_deref().unwrap_or_default(),
                "the schedule is disabled: this deploy declares it no longer"
            );
        }
        Ok(disabled)
    }
}

enum Change {
    Added,
    Updated,
    Unchanged,
}

struct Decision<'a> {
    owner: &'a str,
    deploy: &'a str,
    print: [u8; 16],
    schedule: &'a Schedule,
}

impl Decision<'_> {
    fn edit(
        &self,
        name: &str,
        found: Option<&ScheduleInfo>,
        now: Timestamp,
    ) -> Result<(Edit, Change), Error> {
        let owned = |record: Record| Record {
            owner: Some(self.owner.to_owned()),
            declared: Some(self.print),
            deploy: Some(self.deploy.to_owned()),
            ..record
        };
        let Some(found) = found else {
            let record = owned(Record::new(self.schedule.clone(), now));
            return Ok((Edit { record, anew: true, must_tick: false }, Change::Added));
        };
        if found.owner.as_deref().is_some_and(|other| other != self.owner) {
            return Err(foreign(name, found));
        }
        if found.declared == Some(self.print) {
            let back = found.status == Status::Undeclared;
            let mut record = owned(found.record());
            if back {
                record.status = Status::Active;
            }
            return Ok((Edit { record, anew: back, must_tick: false }, Change::Unchanged));
        }
        let replaced = replaced(found, self.schedule.clone(), now);
        let mut record = owned(replaced.record);
        let rests = matches!(found.status, Status::Stopped | Status::Undeclared);
        if rests {
            record.status = Status::Active;
        }
        let anew = replaced.anew || rests;
        Ok((Edit { record, anew, must_tick: false }, Change::Updated))
    }
}
