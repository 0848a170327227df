//! Applies the [`Then`] of a job to the schedules. All of this may be done twice: when a node dies
//! after it and before the job is settled, the job runs again.

use poolder_client::Schedules;
use poolder_core::broker::ScheduleInfo;
use poolder_core::{Error, Status, Timing};

use super::job::{Defaults, schedule_name};
use super::periodic::Periodic;
use super::then::Then;
use crate::run::context::Context;

pub(super) async fn apply<P: Periodic>(
    defaults: &Defaults,
    job: &str,
    then: Then,
    cx: &Context,
) -> Result<(), Error> {
    if then == Then::Continue {
        return Ok(());
    }
    let schedules = cx.client().schedules(cx.queue());
    // A job without a tick was not enqueued by a schedule: it changes the schedule of its name.
    let own = match cx.tick() {
        Some(tick) => tick.schedule().to_owned(),
        None => schedule_name::<P>(job),
    };
    match then {
        Then::Continue => {}
        Then::Set(timing) => {
            let change = schedules.change(&own, |schedule| {
                schedule.timing = timing.clone();
                Ok(())
            });
            match change.await {
                Err(error) if error.is_not_found() => {
                    tracing::warn!(schedule = own, "no timing set: the schedule was removed");
                }
                changed => {
                    let info = changed?;
                    tracing::info!(schedule = own, timing = %info.schedule.timing, "timing set");
                }
            }
        }
        Then::Create(job, timing) => create::<P>(&schedules, defaults, &job, &timing).await?,
        Then::Replace(set) => {
            for (job, timing) in &set {
                create::<P>(&schedules, defaults, job, timing).await?;
            }
            let kept: Vec<String> = set.iter().map(|(job, _)| schedule_name::<P>(job)).collect();
            for info in schedules.owned_by(P::NAME).await? {
                if kept.contains(&info.name) {
                    continue;
                }
                if info.is_declared() {
                    stop(&schedules, &info.name).await?;
                } else {
                    schedules.remove(&info.name).await?;
                    tracing::info!(schedule = info.name, "schedule removed");
                }
            }
        }
        Then::Stop => stop(&schedules, &own).await?,
        Then::StopAll => {
            for ScheduleInfo { name, .. } in schedules.owned_by(P::NAME).await? {
                stop(&schedules, &name).await?;
            }
        }
    }
    Ok(())
}

/// Gives a job a schedule with this timing, and activates the schedule unless an operator has
/// paused it.
async fn create<P: Periodic>(
    schedules: &Schedules,
    defaults: &Defaults,
    job: &str,
    timing: &Timing,
) -> Result<(), Error> {
    let name = schedule_name::<P>(job);
    let anew = defaults.schedule::<P>(job, timing.clone())?;
    let before = schedules.get(&name).await?.filter(|info| info.owner.as_deref() == Some(P::NAME));
    let status = before.map(|info| info.status);
    if status == Some(Status::Undeclared) {
        // The schedule is declared by an earlier deploy, and would be disabled again when the next
        // node starts.
        schedules.remove(&name).await?;
    }
    if status.is_some_and(|status| status != Status::Undeclared) {
        // Changes only the timing, as another client may be changing the rest.
        let change = schedules.change(&name, |schedule| {
            schedule.timing = timing.clone();
            Ok(())
        });
        match change.await {
            Err(error) if error.is_not_found() => {
                schedules.put(&name, anew).owned_by(P::NAME).await?;
            }
            changed => {
                changed?;
                schedules.resume(&name).if_status(Status::Stopped).await?;
            }
        }
    } else {
        schedules.put(&name, anew).owned_by(P::NAME).await?;
    }
    tracing::info!(schedule = name, %timing, "schedule created");
    Ok(())
}

/// Stops an active schedule. A schedule that an operator has paused stays paused.
async fn stop(schedules: &Schedules, name: &str) -> Result<(), Error> {
    match schedules.set_status(name, Status::Stopped).if_status(Status::Active).await {
        Err(error) if error.is_not_found() => Ok(()),
        stopped => {
            if stopped?.status == Status::Stopped {
                tracing::info!(schedule = name, "schedule stopped");
            }
            Ok(())
        }
    }
}
