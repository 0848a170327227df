//! Changes of so many jobs that a visitor sees them go on: their progress comes by the stream, and
//! Stop ends them.

use poolder_devserver::Server;

use crate::actions::button;
use crate::driver::Tab;
use crate::world::{QUEUE, World, must, text};

/// So many jobs are buried in some seconds: long enough for a click.
const JOBS: u64 = 20_000;

/// The page of a change shows how far it is without a click, and stops it; the next one goes on to
/// its end.
pub(crate) async fn progress_and_stop(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "task").await?;
    world.many_later(JOBS).await?;
    begin(world, tab)?;
    let first = sentence(tab)?;
    tab.value("void (window.isKept = true)")?;
    tab.until("the progress comes by the stream", || {
        Ok(tab.value("window.isKept")? == true && sentence(tab)? != first)
    })?;
    tab.press("form[action$='/stop'] button")?;
    tab.until("the task has stopped", || Ok(state(tab)?.contains("stopped")))?;
    let (said, queue) = (changed(tab)?, world.queue().await?);
    must(0 < said && said < JOBS, format!("{said} jobs were changed before the stop"))?;
    must(queue.dead == said, format!("{said} are said to be buried, and {} are", queue.dead))?;
    must(queue.due == JOBS - said, format!("{} jobs wait", queue.due))?;

    begin(world, tab)?;
    tab.value("void (window.isKept = true)")?;
    tab.until("the stream says that the task is done", || {
        Ok(tab.value("window.isKept")? == true && state(tab)?.contains("done"))
    })?;
    let queue = world.queue().await?;
    must((queue.dead, queue.due) == (JOBS, 0), format!("{} are dead", queue.dead))?;
    must(changed(tab)? == JOBS - said, "the page says another number")?;
    let audit = world.client.audit(&Default::default(), None, 4).await.map_err(text)?;
    let ends: Vec<u64> = audit.entries.iter().map(|it| it.record.changed).collect();
    must(ends == [JOBS - said, 0, said, 0], format!("the audit has {ends:?}"))
}

/// Lets all jobs that wait for their time be buried, and waits for the page of the task.
fn begin(world: &World, tab: &Tab) -> Result<(), String> {
    tab.open(&format!("{}?state=scheduled", world.queue_page()))?;
    tab.press("#bulk input[name=all]")?;
    tab.press(&format!("#bulk {}", button("bury")))?;
    tab.shows("Are you sure?")?;
    must(tab.text()?.contains(QUEUE), "the question does not name the queue")?;
    tab.press(&button("bury"))?;
    tab.until("the page of the task", || Ok(tab.address()?.contains("/task/")))?;
    tab.shows("Looked at")
}

fn state(tab: &Tab) -> Result<String, String> {
    said(tab, "#live .chip")
}

fn sentence(tab: &Tab) -> Result<String, String> {
    said(tab, "#live p[role=status]")
}

fn said(tab: &Tab, selector: &str) -> Result<String, String> {
    let text = tab.value(&format!("document.querySelector('{selector}').innerText"))?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

/// Returns the number of jobs that the page says were changed.
fn changed(tab: &Tab) -> Result<u64, String> {
    let sentence = sentence(tab)?;
    let number = sentence.strip_suffix(" changed.").and_then(|it| it.rsplit(' ').next());
    let number = number.and_then(|it| it.replace(',', "").parse().ok());
    number.ok_or(format!("no number in {sentence:?}"))
}
