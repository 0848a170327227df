//! Does what a job says shall become of schedules. Everything here may be done twice: a node that
//! dies after it and before the job is settled lets the job run again.

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
    let schedules = cx.client().schedules(cx.queue())?;
    // A job that was run by hand speaks for the schedule of its name.
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
                Err(error) if error.is_gone() => {
                    tracing::warn!(schedule = own, "it was removed, and has no timing to set");
                }
                changed => {
                    let info = changed?;
                    tracing::info!(schedule = own, timing = %info.schedule.timing, "set");
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
                    tracing::info!(schedule = info.name, "removed");
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

/// Gives a job a schedule with this timing, and lets it tick unless an operator has paused it.
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
        // What is left of an earlier deploy would be disabled again when the next node starts.
        schedules.remove(&name).await?;
    }
    if status.is_some_and(|status| status != Status::Undeclared) {
        // Only its timing: others may be changing the rest.
        let change = schedules.change(&name, |schedule| {
            schedule.timing = timing.clone();
            Ok(())
        });
        match change.await {
            Err(error) if error.is_gone() => {
                schedules.put_for(&name, Some(P::NAME), &anew).await?;
            }
            changed => {
                changed?;
                schedules.set_status_from(&name, Status::Stopped, Status::Active).await?;
            }
        }
    } else {
        schedules.put_for(&name, Some(P::NAME), &anew).await?;
    }
    tracing::info!(schedule = name, %timing, "created");
    Ok(())
}

/// Stops a schedule that ticks; a pause of an operator stays a pause.
async fn stop(schedules: &Schedules, name: &str) -> Result<(), Error> {
    match schedules.set_status_from(name, Status::Active, Status::Stopped).await {
        Err(error) if error.is_gone() => Ok(()),
        stopped => {
            if stopped?.status == Status::Stopped {
                tracing::info!(schedule = name, "stopped");
            }
            Ok(())
        }
    }
}
