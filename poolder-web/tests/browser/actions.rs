//! Each change that the dashboard offers, made as a visitor makes it, with its effect in Redis.

use poolder::{JobState, Timestamp};
use poolder_devserver::Server;

use crate::driver::Tab;
use crate::world::{QUEUE, Ship, World, must, text};
use crate::{forms, structures};

/// Makes one change, and looks for its effect.
pub(crate) async fn take(server: &Server, tab: &Tab, action: &str) -> Result<(), String> {
    let world = &World::new(server, action).await?;
    match action {
        "pause-all" | "resume-all" => all_queues(world, tab, action).await,
        "pause" => pause(world, tab).await,
        "resume" => resume(world, tab).await,
        "drain" => drain(world, tab).await,
        "purge" => purge(world, tab).await,
        "run-now" => run_now(world, tab).await,
        "revive" => revive(world, tab).await,
        "cancel" => cancel(world, tab).await,
        "bury" => bury(world, tab).await,
        "delete" => delete(world, tab).await,
        "error-mute" | "error-unmute" => forms::mute(world, tab, action).await,
        "reschedule" | "edit" => forms::of_job(world, tab, action).await,
        "resize" | "pool-stop" | "pool-start" => structures::of_pool(world, tab, action).await,
        "key-release" => structures::of_key(world, tab).await,
        name if name.starts_with("group-") => structures::of_group(world, tab, name).await,
        node if node.starts_with("node-") => structures::of_node(world, tab, node).await,
        name if name.starts_with("schedule-") => structures::of_schedule(world, tab, name).await,
        name if name.starts_with("batch-") => structures::of_batch(world, tab, name).await,
        _ => Err("this check does not know the action".into()),
    }?;
    let audit = world.client.audit(&Default::default(), None, 1).await.map_err(text)?;
    let last = audit.entries.first().ok_or("the change has left no line in the audit")?;
    let (actor, via) = (&last.record.actor, &last.record.via);
    must(actor == "ann" && via == "dashboard", format!("the audit names {actor} by {via}"))
}

/// Returns the button of an action.
pub(crate) fn button(action: &str) -> String {
    format!("button[value={action}]")
}

/// Presses the button of an action that asks first.
pub(crate) fn ask(tab: &Tab, action: &str) -> Result<(), String> {
    tab.press(&format!("a[href*='action={action}']"))?;
    tab.shows("Leave it")
}

/// Waits until the page says what was done.
pub(crate) fn said(tab: &Tab, text: &str) -> Result<(), String> {
    let said = "(document.querySelector('.said') || {}).innerText || ''";
    tab.until(&format!("the page says {text:?}"), || {
        Ok(tab.value(said)?.as_str().is_some_and(|said| said.contains(text)))
    })
}

async fn all_queues(world: &World, tab: &Tab, action: &str) -> Result<(), String> {
    let ship = || Ship { to: "ana".into() };
    world.client.enqueue(ship()).queue("letters").await.map_err(text)?;
    world.ready("ana").await?;
    if action == "resume-all" {
        for paused in world.client.pause_many([QUEUE, "letters"]).await {
            paused.map_err(text)?;
        }
    }
    tab.open(&world.site.page("/"))?;
    ask(tab, action)?;
    tab.type_into("input[name=typed]", "2 queues")?;
    tab.press(&button(action))?;
    said(tab, "d 2 queues. The same: poolder queue ")?;
    let views = world.client.overview().await.map_err(text)?;
    let paused = views.iter().filter(|view| view.paused.is_some()).count();
    must(paused == if action == "pause-all" { 2 } else { 0 }, format!("{paused} are paused"))
}

async fn pause(world: &World, tab: &Tab) -> Result<(), String> {
    world.ready("ana").await?;
    tab.open(&world.queue_page())?;
    tab.press(&button("pause"))?;
    tab.shows("Paused parcels. The same: poolder queue pause parcels")?;
    must(world.queue().await?.paused.is_some(), "the queue is not paused")
}

async fn resume(world: &World, tab: &Tab) -> Result<(), String> {
    world.ready("ana").await?;
    world.client.pause(QUEUE).await.map_err(text)?;
    tab.open(&world.queue_page())?;
    tab.press(&button("resume"))?;
    tab.shows("Resumed parcels.")?;
    must(world.queue().await?.paused.is_none(), "the queue is still paused")
}

async fn drain(world: &World, tab: &Tab) -> Result<(), String> {
    world.dead("ana").await?;
    world.later("bob").await?;
    world.ready("cleo").await?;
    tab.open(&world.queue_page())?;
    ask(tab, "drain")?;
    tab.shows("Delete 2 jobs of parcels that wait or are due later?")?;
    // A wrong name, then a number that is not right any more.
    tab.type_into("input[name=typed]", "parcel")?;
    tab.press(&button("drain"))?;
    tab.shows("Type the name parcels to go on.")?;
    world.ready("dan").await?;
    tab.type_into("input[name=typed]", QUEUE)?;
    tab.press(&button("drain"))?;
    tab.shows("There were 2 jobs, and now there are 3. Nothing was deleted.")?;
    must(world.queue().await?.ready() == 2, "jobs were deleted too early")?;
    tab.type_into("input[name=typed]", QUEUE)?;
    tab.press(&button("drain"))?;
    tab.shows("Deleted 3 jobs of parcels that waited.")?;
    let queue = world.queue().await?;
    must((queue.ready(), queue.due, queue.dead) == (0, 0, 1), format!("{queue:?}"))
}

async fn purge(world: &World, tab: &Tab) -> Result<(), String> {
    world.dead("ana").await?;
    world.ready("bob").await?;
    tab.open(&world.queue_page())?;
    ask(tab, "purge")?;
    tab.type_into("input[name=typed]", QUEUE)?;
    tab.press(&button("purge"))?;
    tab.shows("Deleted 1 job of parcels that had died.")?;
    let queue = world.queue().await?;
    must((queue.ready(), queue.dead) == (1, 0), format!("{queue:?}"))
}

async fn run_now(world: &World, tab: &Tab) -> Result<(), String> {
    let job = world.later("ana").await?;
    tab.open(&world.job_page(&job))?;
    tab.press(&button("run-now"))?;
    tab.shows("runs as soon as a slot is free.")?;
    let now: Timestamp = world.queue().await?.now;
    let view = world.client.job(&job).view().await.map_err(text)?;
    // Without a node a job that is due stays where it is.
    must(view.is_some_and(|job| job.at <= now), "the job is not due")
}

async fn revive(world: &World, tab: &Tab) -> Result<(), String> {
    let job = world.dead("ana").await?;
    tab.open(&world.job_page(&job))?;
    tab.press(&button("revive"))?;
    said(tab, ": revived.")?;
    state(world, &job, Some(JobState::Ready)).await
}

async fn cancel(world: &World, tab: &Tab) -> Result<(), String> {
    let job = world.later("ana").await?;
    tab.open(&world.job_page(&job))?;
    tab.press(&button("cancel"))?;
    tab.shows("The same: poolder job cancel")?;
    state(world, &job, None).await
}

async fn bury(world: &World, tab: &Tab) -> Result<(), String> {
    let job = world.later("ana").await?;
    tab.open(&world.job_page(&job))?;
    tab.press(&button("bury"))?;
    said(tab, ": buried.")?;
    state(world, &job, Some(JobState::Dead)).await
}

async fn delete(world: &World, tab: &Tab) -> Result<(), String> {
    let job = world.dead("ana").await?;
    tab.open(&world.job_page(&job))?;
    ask(tab, "delete")?;
    tab.press(&button("delete"))?;
    said(tab, ": deleted.")?;
    must(tab.address()?.contains("/queues/parcels"), "the page of a job that is gone is left")?;
    state(world, &job, None).await
}

async fn state(
    world: &World,
    job: &poolder::Handle,
    state: Option<JobState>,
) -> Result<(), String> {
    let is = world.client.job(job).state().await.map_err(text)?;
    must(is == state, format!("the job is {is:?}"))
}
