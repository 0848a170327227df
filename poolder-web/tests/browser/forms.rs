//! Changes of several jobs, of all jobs of an error, and the forms of new jobs and schedules.

use std::time::Duration;

use poolder::{JobState, Status};
use poolder_devserver::Server;

use crate::actions::{ask, button, said};
use crate::driver::Tab;
use crate::world::{QUEUE, Ship, World, must, text};

/// Jobs that are ticked are run now, and all that match are deleted with a progress.
pub(crate) async fn several(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "several").await?;
    for n in 0..130 {
        world.later(if n % 2 == 0 { "ana" } else { "bob" }).await?;
    }
    let list = format!("{}?state=scheduled", world.queue_page());
    tab.open(&list)?;
    for row in [1, 3] {
        tab.press(&format!("tbody tr:nth-child({row}) input[type=checkbox]"))?;
    }
    tab.press(&format!("#bulk {}", button("run-now")))?;
    said(tab, "2 jobs")?;
    let due = world.client.inspect(QUEUE).due(None, 500).await.map_err(text)?.jobs;
    let now = world.queue().await?.now;
    must(due.iter().filter(|job| job.at <= now).count() == 2, "two jobs are due now")?;
    tab.open(&format!("{list}&where=payload.to%3Dbob"))?;
    tab.press("#bulk input[name=all]")?;
    tab.press(&format!("#bulk {}", button("delete")))?;
    tab.shows("Are you sure?")?;
    tab.type_into("input[name=typed]", QUEUE)?;
    tab.press(&button("delete"))?;
    tab.until("the task ends", || {
        let text = tab.text()?;
        let is_done = text.contains("65 changed");
        if !is_done {
            tab.open(&tab.address()?)?;
        }
        Ok(is_done)
    })?;
    let left = world.queue().await?;
    must(left.due == 65, format!("{} jobs are left", left.due))
}

/// A job is enqueued from the form.
pub(crate) async fn enqueue(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "enqueue").await?;
    world.ready("ana").await?;
    tab.open(&world.site.page(&format!("/enqueue?queue={QUEUE}&kind=parcel.ship")))?;
    tab.clear("textarea[name=payload]")?;
    tab.type_into("textarea[name=payload]", "{")?;
    tab.press("main button.primary")?;
    tab.shows("This is not JSON")?;
    tab.clear("textarea[name=payload]")?;
    tab.type_into("textarea[name=payload]", r#"{"to":"zoe"}"#)?;
    tab.press("main button.primary")?;
    tab.until("the job is shown", || Ok(tab.address()?.contains("/job/")))?;
    tab.shows("zoe")?;
    must(world.queue().await?.ready() == 2, "the job was not stored")
}

/// A schedule is looked at before it is stored.
pub(crate) async fn schedule(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "schedule").await?;
    world.ready("ana").await?;
    tab.open(&world.site.page("/schedules"))?;
    tab.press("main a[href^='/schedules/form']")?;
    for (field, value) in [
        ("schedule", "digest"),
        ("queue", QUEUE),
        ("kind", "parcel.ship"),
        ("payload", r#"{"to":"all"}"#),
        ("timing", "30 7 * * *"),
    ] {
        tab.clear(&format!("main [name={field}]"))?;
        tab.type_into(&format!("main [name={field}]"), value)?;
    }
    tab.press(&button("preview"))?;
    tab.shows("Its next ticks")?;
    let schedules = world.client.schedules(QUEUE);
    must(schedules.get("digest").await.map_err(text)?.is_none(), "a preview stores nothing")?;
    tab.press(&button("save"))?;
    said(tab, "digest")?;
    let stored = schedules.get("digest").await.map_err(text)?;
    must(stored.is_some(), "the schedule was not stored")
}

/// Schedules that are ticked are paused, and all that match a text after a question.
pub(crate) async fn schedules(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "schedules").await?;
    for name in ["digest", "prices", "price-list"] {
        let job = Ship { to: "all".into() };
        world.client.schedule(name, "@every 15m", job).await.map_err(text)?;
    }
    let paused = async || {
        let all = world.client.find_schedules("").await.map_err(text)?;
        let each = all.into_iter().filter(|info| info.status == Status::Paused);
        Ok::<Vec<String>, String>(each.map(|info| info.name).collect())
    };
    tab.open(&world.site.page("/schedules"))?;
    tab.press("input[value='parcels/digest']")?;
    tab.press(&format!("#bulk {}", button("schedule-pause")))?;
    said(tab, "Paused 1 schedule.")?;
    must(paused().await? == ["digest"], "another schedule was paused")?;
    tab.type_into("#ask", "price\u{e007}")?;
    tab.until("the list is filtered", || Ok(tab.address()?.contains("match=price")))?;
    tab.press("#bulk input[name=all]")?;
    tab.press(&format!("#bulk {}", button("schedule-pause")))?;
    tab.shows("Pause 2 schedules of those that match")?;
    tab.type_into("input[name=typed]", "2 schedules")?;
    tab.press(&button("schedule-pause"))?;
    said(tab, "Paused 2 schedules.")?;
    must(paused().await?.len() == 3, "not all that match were paused")
}

/// A filtered list gets a name, under which it is found again.
pub(crate) async fn view(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "view").await?;
    world.ready("ana").await?;
    tab.open(&format!("{}?state=ready&where=payload.to%3Dana", world.queue_page()))?;
    tab.type_into("#view-name", "ana's")?;
    tab.press(&button("save"))?;
    tab.shows("Saved the view \"ana's\" for all visitors.")?;
    let saved = world.client.saved_views().await.map_err(text)?;
    must(saved.len() == 1 && saved[0].name == "ana's", "the view is not in Redis")?;
    tab.open(&world.queue_page())?;
    tab.press(".views nav a")?;
    tab.until("the view is shown", || Ok(tab.address()?.contains("where=payload.to")))?;
    tab.press(&button("remove"))?;
    tab.shows("Removed the view \"ana's\".")?;
    must(world.client.saved_views().await.map_err(text)?.is_empty(), "the view is still in Redis")
}

/// The jobs that an error has left behind run again.
pub(crate) async fn error(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "error").await?;
    let job = world.failed("ana", JobState::Dead).await?;
    tab.open(&world.site.page("/errors"))?;
    tab.press("main a[href^='/errors/']")?;
    tab.shows("Latest dead jobs")?;
    tab.press("a[href*='/errors/change?action=retry']")?;
    tab.shows("poolder error retry")?;
    tab.press(&button("retry"))?;
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while world.client.job(&job).state().await.map_err(text)? != Some(JobState::Ready) {
        must(tokio::time::Instant::now() < end, "the job was not revived")?;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The jobs that wait for another attempt after an error are dead then, with their error.
pub(crate) async fn bury_error(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "bury-error").await?;
    let job = world.failed("ana", JobState::Retrying).await?;
    let other = world.later("bob").await?;
    tab.open(&world.site.page("/errors"))?;
    tab.press("main a[href^='/errors/']")?;
    tab.press("a[href*='/errors/change?action=bury']")?;
    tab.shows("Bury 1 job of error")?;
    tab.shows("poolder error bury")?;
    tab.press(&button("bury"))?;
    tab.until("the page of the task", || Ok(tab.address()?.contains("/task/")))?;
    tab.until("the task ends", || {
        tab.open(&tab.address()?)?;
        Ok(tab.text()?.contains("1 changed"))
    })?;
    let view = world.client.job(&job).view().await.map_err(text)?.ok_or("the job is gone")?;
    let error = view.failure().map(|failure| failure.message.clone()).unwrap_or_default();
    must(view.state == JobState::Dead, format!("the job is {}", view.state))?;
    must(error == "no way to ana", format!("its error is {error:?}"))?;
    let state = world.client.job(&other).state().await.map_err(text)?;
    must(state == Some(JobState::Scheduled), format!("another job is {state:?}"))
}

/// An error is muted until a deploy, and its mute is ended.
pub(crate) async fn mute(world: &World, tab: &Tab, action: &str) -> Result<(), String> {
    world.failed("ana", JobState::Dead).await?;
    let group = world.client.errors().await.map_err(text)?.remove(0);
    if action == "error-unmute" {
        world.client.mute_errors(&group, Duration::from_secs(60)).await.map_err(text)?;
    }
    tab.open(&world.site.page("/errors"))?;
    tab.press("main a[href^='/errors/']")?;
    if action == "error-mute" {
        ask(tab, action)?;
        tab.clear("#in-for")?;
        tab.type_into("#in-for", "soon")?;
        tab.press(&button(action))?;
        tab.shows("is no time")?;
        tab.clear("#in-for")?;
        tab.type_into("#in-for", "4h")?;
        tab.press("#in-ends option:last-child")?;
        tab.type_into("#in-most", "100")?;
    }
    tab.press(&button(action))?;
    said(tab, "The same: poolder error ")?;
    let group = world.client.errors().await.map_err(text)?.remove(0);
    let Some(mute) = &group.mute else {
        tab.shows("Mute…")?;
        return must(action == "error-unmute", "the error is not muted");
    };
    let lasts = mute.until.since(mute.since);
    let is_right = mute.until_deploy && mute.at_most == Some(100) && lasts.as_secs() == 14_400;
    must(action == "error-mute" && is_right, format!("{mute:?}"))?;
    tab.shows("Unmute")?;
    tab.open(&world.site.page("/"))?;
    tab.shows("1 error is muted")?;
    tab.shows("1 group muted")
}

/// A job gets another time, or another payload.
pub(crate) async fn of_job(world: &World, tab: &Tab, action: &str) -> Result<(), String> {
    let job = if action == "edit" { world.dead("ana").await? } else { world.later("ana").await? };
    let before = world.client.job(&job).view().await.map_err(text)?.ok_or("no job")?;
    tab.open(&world.job_page(&job))?;
    ask(tab, action)?;
    match action {
        "edit" => {
            tab.clear("#in-payload")?;
            tab.type_into("#in-payload", r#"{"to":"zoe"}"#)?;
        }
        _ => tab.type_into("#in-in", "90s")?,
    }
    tab.press(&button(action))?;
    said(tab, "The same: poolder")?;
    let after = world.client.job(&job).view().await.map_err(text)?.ok_or("the job is gone")?;
    match action {
        "edit" => {
            let payload = after.payload_json().map_err(text)?;
            must(after.state == JobState::Ready && payload["to"] == "zoe", format!("{payload}"))
        }
        _ => must(after.at < before.at, "the job is due as before"),
    }
}
