//! What visitors meet beside pages and buttons: live numbers, keys, a session that ends, a server
//! that goes away, a job that vanishes under a click, and jobs that want to be more than text.

use poolder_core::broker::PreparedJob;
use poolder_core::{Envelope, Format, JobId, Partition, QueueName};
use poolder_devserver::Server;

use crate::driver::{Tab, Theme};
use crate::world::{QUEUE, World, must, text};

/// Numbers change without a click, and stop when they are told to.
pub(crate) async fn live(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "live").await?;
    tab.faults()?;
    world.ready("ana").await?;
    for page in [world.queue_page(), world.site.page("/")] {
        tab.open(&page)?;
        // Without a stream nothing would change the page.
        for n in 0..2 {
            world.ready("bob").await?;
            let ready = world.queue().await?.ready().to_string();
            let number = format!(
                "[...document.querySelectorAll('.kpi')].some((it) => \
                 it.innerText.includes('{ready}'))"
            );
            tab.until(&format!("{ready} jobs wait, {n}"), || Ok(tab.value(&number)? == true))?;
        }
    }
    tab.press("#live-switch")?;
    tab.shows("Paused")?;
    let before = tab.value("document.querySelector('#live').innerHTML")?;
    world.ready("cleo").await?;
    let reader = world.client.inspect(QUEUE);
    // The time of two events.
    tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
    must(reader.overview().await.map_err(text)?.ready() > 4, "the job is there")?;
    must(
        tab.value("document.querySelector('#live').innerHTML")? == before,
        "a paused page changed",
    )?;
    tab.press("#live-switch")?;
    tab.until("the page is live again", || {
        Ok(tab.value("document.querySelector('#live').innerHTML")? != before)
    })?;
    quiet(tab)
}

/// Keys lead to pages and rows, and the theme is kept.
pub(crate) async fn keys_search_and_theme(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "keys-search-and-theme").await?;
    tab.faults()?;
    let job = world.ready("ana").await?;
    tab.look(Theme::Light, 1280)?;
    tab.open(&world.site.page("/"))?;
    tab.key("?")?;
    tab.until("the help opens", || Ok(tab.value("document.querySelector('#help').open")? == true))?;
    tab.press("#help button")?;
    tab.key("g")?;
    tab.key("q")?;
    tab.until("g q leads to the queues", || Ok(tab.address()?.ends_with("/queues")))?;
    tab.key("j")?;
    let focused = "document.activeElement.innerText";
    tab.until("j chooses a row", || Ok(tab.value(focused)? == QUEUE))?;
    tab.key("/")?;
    let field = "document.activeElement.id";
    tab.until("/ leads to the search", || Ok(tab.value(field)? == "search"))?;
    for (words, leads_to) in [
        (QUEUE.to_owned(), format!("/queues/{QUEUE}")),
        (job.job.to_string(), format!("/job/{job}")),
        ("parcel".to_owned(), "/jobs?where=kind".to_owned()),
    ] {
        tab.type_into("#search", &format!("{words}\u{e007}"))?;
        tab.until(&leads_to, || Ok(tab.address()?.contains(&leads_to)))?;
    }
    let theme = "document.documentElement.dataset.theme || ''";
    tab.press(".themes button")?;
    tab.until("the theme is dark", || Ok(tab.value(theme)? == "dark"))?;
    tab.open(&world.queue_page())?;
    must(tab.value(theme)? == "dark", "the theme is not kept")?;
    tab.press(".themes button")?;
    tab.until("the theme is light", || Ok(tab.value(theme)? == "light"))?;
    quiet(tab)
}

/// A session ends while a page is open: the page says that it is not live any more, shows nothing
/// new, and goes on when the visitor is let in again.
pub(crate) async fn session(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "session").await?;
    tab.faults()?;
    world.ready("ana").await?;
    tab.open(&world.queue_page())?;
    tab.shows("Live")?;
    world.site.admit(false);
    let switch = "document.querySelector('#live-switch').innerText";
    tab.until("the page says that it is lost", || Ok(tab.value(switch)? == "Lost"))?;
    world.site.admit(true);
    tab.until("the page is live again", || Ok(tab.value(switch)? == "Live"))?;
    world.site.admit(false);
    tab.press("nav.side a[href='/queues']")?;
    tab.shows("You may not see this dashboard.")?;
    world.site.admit(true);
    only(tab, &["403", "Forbidden"])
}

/// The server goes away while a page is open, and comes back.
pub(crate) async fn server_away(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "server-away").await?;
    tab.faults()?;
    world.ready("ana").await?;
    tab.open(&world.site.page("/"))?;
    tab.shows("as of")?;
    server.kill().map_err(text)?;
    tab.shows("The numbers are")?;
    tab.open(&world.site.page("/queues"))?;
    tab.shows("The numbers are")?;
    tab.open(&world.queue_page())?;
    tab.shows("Redis does not answer")?;
    tab.open(&world.site.page("/"))?;
    server.restart().map_err(text)?;
    tab.until("the numbers are new", || Ok(!tab.text()?.contains("The numbers are")))?;
    tab.open(&world.queue_page())?;
    tab.shows("parcel.ship")?;
    only(tab, &["503"])
}

/// A job vanishes between the page and the click.
pub(crate) async fn vanished(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "vanished").await?;
    tab.faults()?;
    for action in ["run-now", "cancel", "bury"] {
        let job = world.later("ana").await?;
        tab.open(&world.job_page(&job))?;
        world.client.job(&job).remove().await.map_err(text)?;
        tab.press(&format!("button[value={action}]"))?;
        // The page that is left shows the id as well.
        let title = || tab.value("document.querySelector('h1').innerText");
        tab.until(&format!("an answer to {action}"), || Ok(title()? != "parcel.ship"))?;
        tab.shows(&job.job.to_string())?;
    }
    // The page that was left open shows where the job has gone.
    let job = world.later("ana").await?;
    world.client.job(&job).remove().await.map_err(text)?;
    tab.open(&world.job_page(&job))?;
    must(!tab.text()?.is_empty(), "the page is empty")?;
    only(tab, &["404", "409"])
}

/// Jobs, errors and names that want to be more than text.
pub(crate) async fn hostile(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "hostile").await?;
    tab.faults()?;
    const SCRIPT: &str = "</pre></td><script>faults.push('script ran')</script><img src=x \
                          onerror=\"faults.push('image ran')\">\u{202e}gnp.\u{2066}\u{200b}'\"";
    let mut jobs =
        vec![world.ready(SCRIPT).await?, world.ready(&"<é\u{202e}".repeat(170_000)).await?];
    let dead = world.later(SCRIPT).await?;
    world.client.job(&dead).bury(SCRIPT).await.map_err(text)?;
    jobs.push(dead);
    let queue = QueueName::new(QUEUE).map_err(text)?;
    let (bad_text, deep) =
        (b"\xd9\xff<script>faults.push(1)</script>\0".to_vec(), vec![b'['; 60_000]);
    let json = b"\xff\xfe<script>faults.push(1)</script>".to_vec();
    for (bytes, format) in
        [(bad_text, Format::MessagePack), (deep, Format::Json), (json, Format::Json)]
    {
        let envelope = Envelope::build(JobId::generate(), "parcel.ship", 1, None, format, |out| {
            out.extend(&bytes);
            Ok(())
        });
        let job = PreparedJob::new(Partition::first(queue.clone()), envelope.map_err(text)?);
        let stored = world.client.broker().enqueue(&job).await.map_err(text)?;
        jobs.push(stored.handle());
    }
    let asked =
        "%3Cscript%3Efaults.push(1)%3C%2Fscript%3E%22%20autofocus%20onfocus=%22faults.push(2)";
    let mut pages: Vec<String> = jobs.iter().map(|job| world.job_page(job)).collect();
    pages.extend([
        format!("{}?state=ready", world.queue_page()),
        format!("{}?state=dead", world.queue_page()),
        format!("{}?state=dead&where={asked}", world.queue_page()),
        world.site.page("/jobs?state=dead"),
        world.site.page("/"),
        world.site.page("/audit"),
        world.site.page(&format!("/search?q={asked}")),
        world.site.page(&format!("/queues/{asked}")),
    ]);
    for page in pages {
        tab.open(&page)?;
        let unseen =
            "/[\\u202a-\\u202e\\u2066-\\u2069\\u200b\\u0000]/.test(document.body.textContent)";
        must(tab.value(unseen)? == false, format!("{page} has marks that turn text"))?;
        let foreign =
            "document.querySelectorAll('body script, main img, [onerror], [onfocus]').length";
        must(tab.value(foreign)? == 0, format!("{page} has foreign elements"))?;
        let wide = "document.documentElement.scrollWidth <= innerWidth";
        must(tab.value(wide)? == true, format!("{page} is wider than the screen"))?;
        only(tab, &["404", "400"]).map_err(|error| format!("{page}: {error}"))?;
    }
    Ok(())
}

/// Every page is there without scripts, and links lead from one to the next.
pub(crate) async fn without_scripts(server: &Server, tab: &Tab) -> Result<(), String> {
    let world = &World::new(server, "without-scripts").await?;
    tab.faults()?;
    let job = world.later("ana").await?;
    tab.open(&world.site.page("/"))?;
    must(tab.value("document.querySelectorAll('canvas').length")? == 0, "scripts run after all")?;
    must(tab.value("document.querySelectorAll('figure svg').length")? == 2, "there is no chart")?;
    tab.press("nav.side a[href='/queues']")?;
    tab.press(&format!("a[href='/queues/{QUEUE}']"))?;
    tab.press("nav.tabs a[href*='state=scheduled']")?;
    tab.press(&format!("a[href$='{job}']"))?;
    tab.shows("parcel.ship")?;
    tab.type_into("#search", &format!("{QUEUE}\u{e007}"))?;
    tab.until("the search leads on", || Ok(tab.address()?.ends_with("/queues/parcels")))?;
    tab.type_into("#where", "kind=other\u{e007}")?;
    tab.shows("No job")?;
    tab.press(".themes button")?;
    tab.until("the theme is dark", || {
        Ok(tab.value("document.documentElement.dataset.theme")? == "dark")
    })
}

/// Fails when something went wrong on the page.
fn quiet(tab: &Tab) -> Result<(), String> {
    only(tab, &[])
}

/// Fails when something went wrong but what is expected: a browser notes each refused request.
fn only(tab: &Tab, expected: &[&str]) -> Result<(), String> {
    let mut faults = tab.faults()?;
    faults.retain(|fault| !expected.iter().any(|part| fault.contains(part)));
    must(faults.is_empty(), faults.join("\n  "))
}
