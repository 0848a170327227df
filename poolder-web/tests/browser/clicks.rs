//! What has changed between a page and the click on it: the job has vanished, the session has ended,
//! the server has gone away.

use poolder::JobState;
use poolder_devserver::Server;

use crate::actions::{ask, button, said};
use crate::driver::Tab;
use crate::world::{QUEUE, World, must, text};

/// A job vanishes while its question is read, and one of two that were ticked.
pub(crate) async fn vanished(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "vanished-behind-a-question").await?;
    for action in ["delete", "edit", "reschedule"] {
        let job = world.later("ana").await?;
        tab.open(&world.job_page(&job))?;
        ask(tab, action)?;
        if action == "reschedule" {
            tab.type_into("#in-in", "90s")?;
        }
        world.client.job(&job).remove().await.map_err(text)?;
        tab.press(&button(action))?;
        tab.until(&format!("an answer to {action}"), || {
            Ok(!tab.text()?.contains("Leave it") && tab.text()?.contains(&job.job.to_string()))
        })?;
        let state = world.client.job(&job).state().await.map_err(text)?;
        must(state.is_none(), format!("{action} brought the job back: {state:?}"))?;
    }
    let (gone, stays) = (world.later("bob").await?, world.later("cleo").await?);
    tab.open(&format!("{}?state=scheduled", world.queue_page()))?;
    for row in [1, 2] {
        tab.press(&format!("tbody tr:nth-child({row}) input[type=checkbox]"))?;
    }
    world.client.job(&gone).remove().await.map_err(text)?;
    tab.press(&format!("#bulk {}", button("bury")))?;
    said(tab, &format!("Buried 1 job, and left one: {}", gone.job))?;
    let state = world.client.job(&stays).state().await.map_err(text)?;
    must(state == Some(JobState::Dead), format!("the other job is {state:?}"))?;
    tab.faults().map(|_| ())
}

/// A session ends before a button is pressed: nothing is changed, and nothing is shown.
pub(crate) async fn session(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "session-at-a-click").await?;
    world.ready("ana").await?;
    tab.open(&world.queue_page())?;
    world.site.admit(false);
    tab.press(&button("pause"))?;
    tab.shows("You may not see this dashboard.")?;
    must(!tab.text()?.contains(QUEUE), "the answer shows the queue")?;
    must(world.queue().await?.paused.is_none(), "the queue is paused")?;
    world.site.admit(true);
    tab.open(&world.queue_page())?;
    tab.press(&button("pause"))?;
    said(tab, "Paused parcels.")?;
    must(world.queue().await?.paused.is_some(), "the queue is not paused")?;
    tab.faults().map(|_| ())
}

/// The server goes away before a button is pressed: the page says so, and the button works when the
/// server is back.
pub(crate) async fn server_away(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "server-away-at-a-click").await?;
    world.ready("ana").await?;
    tab.open(&world.queue_page())?;
    server.kill().map_err(text)?;
    tab.press(&button("pause"))?;
    tab.shows("Redis does not answer")?;
    server.restart().map_err(text)?;
    must(world.queue().await?.paused.is_none(), "the queue is paused")?;
    tab.open(&world.queue_page())?;
    tab.press(&button("pause"))?;
    said(tab, "Paused parcels.")?;
    must(world.queue().await?.paused.is_some(), "the queue is not paused")?;
    tab.faults().map(|_| ())
}
