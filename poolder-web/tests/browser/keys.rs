//! The keys of the keyboard, each with its effect.

use poolder::{Handle, JobState};
use poolder_devserver::Server;

use crate::actions::said;
use crate::driver::{Tab, Theme};
use crate::world::{World, must, text};

/// Rows are walked through, chosen, opened and run, without a mouse.
pub(crate) async fn each(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "keys").await?;
    tab.look(Theme::Light, 1280)?;
    tab.faults()?;
    let jobs = [world.later("ana").await?, world.later("bob").await?, world.later("cleo").await?];
    tab.open(&format!("{}?state=scheduled", world.queue_page()))?;
    for (key, row) in [("j", 0), ("j", 1), ("j", 2), ("j", 2), ("k", 1), ("k", 0), ("k", 0)] {
        tab.key(key)?;
        here(tab, &jobs[row]).map_err(|error| format!("{key}: {error}"))?;
    }
    tab.key("x")?;
    chosen(tab, "1 chosen")?;
    tab.key("x")?;
    chosen(tab, "Choose jobs below")?;
    for key in ["x", "j", "x"] {
        tab.key(key)?;
    }
    chosen(tab, "2 chosen")?;
    // A letter that is typed into a field is no key.
    tab.key("/")?;
    for key in ["x", "r", "?"] {
        tab.key(key)?;
    }
    let field = "document.activeElement.id + ' ' + document.activeElement.value";
    tab.until("the letters are in the field", || Ok(tab.value(field)? == "search xr?"))?;
    chosen(tab, "2 chosen")?;
    tab.type_into("#search", "\u{e00c}")?;
    tab.key("r")?;
    said(tab, "Hurried 2 jobs.")?;
    let now = world.queue().await?.now;
    let mut due = vec![];
    for job in &jobs {
        let view = world.client.job(job).view().await.map_err(text)?.ok_or("a job is gone")?;
        due.push(view.at <= now);
    }
    must(due == [true, true, false], format!("due now: {due:?}"))?;

    // The job of the row that was reached, without a choice before; Enter opens it.
    let dead = world.dead("dan").await?;
    // The numbers of a page are up to a second old.
    tab.until("the list has its bar", || {
        tab.open(&format!("{}?state=dead", world.queue_page()))?;
        Ok(tab.value("document.querySelector('#bulk') != null")? == true)
    })?;
    tab.key("j")?;
    here(tab, &dead)?;
    tab.key("r")?;
    said(tab, "Revived 1 job.")?;
    let state = world.client.job(&dead).state().await.map_err(text)?;
    must(state == Some(JobState::Ready), format!("the job is {state:?}"))?;
    tab.open(&format!("{}?state=scheduled", world.queue_page()))?;
    tab.key("j")?;
    tab.type_into("tr.here a", "\u{e007}")?;
    tab.until("Enter opens the job", || Ok(tab.address()?.contains("/job/")))?;

    for (key, path) in [("q", "/queues"), ("j", "/jobs"), ("o", "/")] {
        tab.key("g")?;
        tab.key(key)?;
        let page = world.site.page(path);
        tab.until(&format!("g {key} leads on"), || Ok(tab.address()? == page))?;
    }
    tab.key("?")?;
    let help = "document.querySelector('#help').open";
    tab.until("? opens the list of keys", || Ok(tab.value(help)? == true))?;
    tab.press("#help button")?;
    tab.until("the list of keys closes", || Ok(tab.value(help)? == false))?;
    let faults = tab.faults()?;
    must(faults.is_empty(), faults.join("\n  "))
}

/// Waits until the row of a job is the one that keys act on, and has the focus.
fn here(tab: &Tab, job: &Handle) -> Result<(), String> {
    let row = "(document.querySelector('tr.here a') || {}).href + ' ' + \
               (document.activeElement.closest('tr') || {}).className";
    tab.until(&format!("the row of {job}"), || {
        let row = tab.value(row)?;
        let row = row.as_str().unwrap_or_default();
        Ok(row.contains(&job.job.to_string()) && row.ends_with(" here"))
    })
}

/// Waits until the bar says how many jobs are chosen.
fn chosen(tab: &Tab, what: &str) -> Result<(), String> {
    let bar = "document.querySelector('#chosen').innerText";
    tab.until(what, || Ok(tab.value(bar)? == what))
}
