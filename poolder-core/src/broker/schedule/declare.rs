//! Schedules that code declares when a node starts.
//!
//! The rule: a declaration replaces the stored schedule when it differs from the last declaration
//! of this name. While a declaration is the same as the last one, changes made since, by operators
//! or by jobs, stay.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;

use super::ScheduleInfo;
use super::change::{Edit, foreign, replaced};
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition, QueueName, Timestamp, check_name};
use crate::schedule::{Record, Schedule, Status};

/// The longest name of a deploy.
const MAX_DEPLOY: usize = 128;

/// The numbers of schedules that a declaration has added and changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Declared {
    /// Schedules that did not exist before.
    pub added: usize,
    /// Schedules whose declaration differs from the last one.
    pub updated: usize,
    /// Schedules whose declaration is the same as the last one.
    pub unchanged: usize,
    /// Schedules that were disabled: this owner declared them before, and no longer does.
    pub disabled: usize,
}

/// A schedule that code declares.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Declaration {
    /// The queue that the schedule feeds.
    pub queue: QueueName,
    /// The schedule's name in that queue.
    pub name: String,
    /// The schedule's job and timing.
    pub schedule: Schedule,
}

impl Declaration {
    /// Declares a schedule of this name that feeds the queue.
    #[must_use]
    pub fn new(queue: QueueName, name: impl Into<String>, schedule: Schedule) -> Self {
        Self { queue, name: name.into(), schedule }
    }
}

impl Broker {
    /// Declares all schedules of an owner, and records `deploy` with them.
    ///
    /// A declaration that differs from the last one replaces the stored schedule; only a pause
    /// stays. A schedule whose declaration is the same keeps the changes made since. A schedule
    /// that this owner declared before, and no longer does, is disabled; a paused one stays paused,
    /// and rests until it is resumed. Schedules made at run time are left alone, unless code
    /// declares one of the same name: from then on, the code's owner owns it.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an invalid schedule, or a schedule of another owner. Returns an
    /// error, too, when the server does not answer or refuses the command. Schedules declared
    /// before the error stay declared: declare all again.
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
        // Queues in which the owner declared schedules before are visited, too: schedules that the
        // owner no longer declares are to be disabled.
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

    /// Declares those of an owner's schedules that do not exist, after the server has lost them.
    /// Leaves the others alone: code of another deploy may have declared them. Returns the number
    /// of schedules that were added.
    ///
    /// # Errors
    /// As [`Broker::declare_schedules`].
    pub async fn restore_schedules(
        &self,
        owner: &str,
        deploy: &str,
        declarations: &[Declaration],
    ) -> Result<usize, Error> {
        let mut added = 0;
        for Declaration { queue, name, schedule } in declarations {
            let partition = Partition::first(queue.clone());
            if self.schedule(&partition, name).await?.is_some() {
                continue;
            }
            let declared = Decision { owner, deploy, print: schedule.fingerprint()?, schedule };
            let mut is_new = true;
            self.edit(&partition, name, |found, now| {
                is_new = found.is_none();
                let edit = found.is_none().then(|| declared.edit(name, None, now)).transpose()?;
                Ok(edit.map(|(edit, _)| edit))
            })
            .await?;
            added += usize::from(is_new);
        }
        let queues: BTreeSet<QueueName> =
            declarations.iter().map(|declaration| declaration.queue.clone()).collect();
        let known = self.queues_of(owner).await?;
        if !queues.is_subset(&known) {
            self.note_queues_of(owner, &known.union(&queues).cloned().collect()).await?;
        }
        Ok(added)
    }

    /// Declares the schedules of one queue.
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
        // At most starts of a node no declaration has changed: a few reads establish that.
        let all: Vec<String> = schedules.iter().map(|(name, _)| (*name).to_owned()).collect();
        let known = self.read_schedules(partition, &all).await?;
        for &(name, schedule) in schedules {
            let print = schedule.fingerprint()?;
            let is_known = |info: &&ScheduleInfo| info.name == name;
            let is_unchanged = known.iter().find(is_known).is_some_and(|info| {
                info.declared == Some(print)
                    && info.owner.as_deref() == Some(owner)
                    && info.status != Status::Undeclared
                    && info.deploy.as_deref() == Some(deploy)
            });
            if is_unchanged {
                done.unchanged += 1;
                continue;
            }
            let (mut change, mut before) = (Change::Unchanged, None);
            let declared = Decision { owner, deploy, print, schedule };
            let info = self
                .edit(partition, name, |found, now| {
                    before = found.and_then(|found| found.deploy.clone());
                    let (edit, effect) = declared.edit(name, found, now)?;
                    change = effect;
                    Ok(Some(edit))
                })
                .await?;
            match change {
                Change::Added => done.added += 1,
                Change::Updated => {
                    done.updated += 1;
                    tracing::info!(
                        %partition, schedule = name, owner, deploy,
                        before = before.as_deref().unwrap_or("none"),
                        "the declaration of this deploy has replaced the schedule"
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

    /// Returns all schedules of an owner in a partition.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
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

    /// Returns the queues in which an owner has declared schedules.
    async fn queues_of(&self, owner: &str) -> Result<BTreeSet<QueueName>, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.queues_of(owner));
        }
        let mut cmd = redis::cmd("HGET");
        cmd.arg(&self.roster_keys().schedulers).arg(owner);
        let reply = self.command(&cmd).await?;
        if reply == Value::Nil {
            return Ok(BTreeSet::new());
        }
        let text = reply::text(reply)?;
        Ok(text.split(' ').filter_map(|queue| QueueName::new(queue).ok()).collect())
    }

    /// Stores the queues in which an owner has declared schedules.
    async fn note_queues_of(&self, owner: &str, queues: &BTreeSet<QueueName>) -> Result<(), Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            captured.note_queues_of(owner, queues);
            return Ok(());
        }
        let list: Vec<&str> = queues.iter().map(QueueName::as_str).collect();
        let mut cmd = scripts::write("HSET", &self.roster_keys().schedulers);
        cmd.arg(owner).arg(list.join(" "));
        self.command(&cmd).await.map(|_| ())
    }

    /// Disables declared schedules of an owner that are not among `names`. Returns their number.
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
            // A paused schedule rests anyway, and the operator decides when its pause ends.
            if stays || matches!(info.status, Status::Undeclared | Status::Paused) {
                continue;
            }
            let (from, to) = (Some(info.status), Status::Undeclared);
            match self.set_schedule_status(partition, &info.name, from, to).await {
                Ok(now) if now.status == to => disabled += 1,
                Ok(_) => continue,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            }
            tracing::info!(
                %partition, schedule = info.name, owner, deploy,
                before = info.deploy.as_deref().unwrap_or_default(),
                "disabled the schedule: this deploy no longer declares it"
            );
        }
        Ok(disabled)
    }
}

/// The effect of a declaration on a schedule.
enum Change {
    Added,
    Updated,
    Unchanged,
}

/// A declaration, compared with the stored schedule by [`Decision::edit`].
struct Decision<'a> {
    owner: &'a str,
    deploy: &'a str,
    print: [u8; 16],
    schedule: &'a Schedule,
}

impl Decision<'_> {
    /// Returns the change that brings a stored schedule in line with the declaration.
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
