//! The pages that are looked at, the routes that other checks visit, and the actions that are taken.
//! [`missing`] finds a route and an action that is not here.

use std::fs;
use std::path::Path;

/// The pages: a route, and an address with `{state}` for the handle of a job in this state.
pub(crate) const PAGES: &[(&str, &str)] = &[
    ("/", "/"),
    ("/queues", "/queues?sort=dead"),
    ("/queues/{queue}", "/queues/mail?state=retrying"),
    ("/queues/{queue}", "/queues/billing?range=15m"),
    ("/queues/{queue}", "/queues/video?state=ready&where=kind%3Dnothing"),
    ("/queues/{queue}", "/queues/reports?state=ready&where=not+a+filter"),
    ("/jobs", "/jobs?state=dead"),
    ("/job/{*handle}", "/job/{retrying}"),
    ("/job/{*handle}", "/job/{dead}"),
    ("/job/{*handle}", "/job/{running}"),
    ("/job/{*handle}", "/job/{done}"),
    ("/queues/{queue}/keys", "/queues/mail/keys"),
    ("/queues/{queue}/groups", "/queues/reports/groups"),
    ("/blast/{*handle}", "/blast/{dead}"),
    ("/errors", "/errors"),
    ("/errors/{id}", "/errors/{error}"),
    ("/errors/change", "/errors/change?action=retry&error={error}"),
    ("/schedules", "/schedules"),
    ("/schedules/form", "/schedules/form?queue=mail&schedule=digest"),
    ("/batches", "/batches"),
    ("/batches/{queue}/{name}", "/batches/audit-log/audit-log"),
    ("/pools", "/pools"),
    ("/pools/{queue}", "/pools/billing?key=7"),
    ("/nodes", "/nodes"),
    ("/nodes/{name}", "/nodes/{node}"),
    ("/kinds", "/kinds"),
    ("/kinds/{queue}/{kind}", "/kinds/mail/email.welcome"),
    ("/enqueue", "/enqueue?queue=mail&kind=email.welcome"),
    ("/journal", "/journal"),
    ("/audit", "/audit"),
    ("/server", "/server"),
    ("/confirm", "/confirm?action=drain&queue=mail&back=/queues/mail"),
    ("", "/no/such/page"),
];

/// Routes that are no pages, each with the check that visits it.
pub(crate) const OTHERS: &[(&str, &str)] = &[
    ("/search", "keys, search and theme"),
    ("/act", "each action"),
    ("/schedules/change", "several schedules"),
    ("/schedules/save", "a schedule from the form"),
    ("/bulk", "several jobs"),
    ("/views", "a view is saved"),
    ("/task/{id}", "several jobs"),
    ("/task/{id}/stop", "progress and stop of a task"),
    ("/live/task/{id}", "progress and stop of a task"),
    ("/theme", "keys, search and theme"),
    ("/live/overview", "live"),
    ("/live/queue/{queue}", "live"),
    ("/assets/{name}", "each page"),
    ("/robots.txt", "none: it is for search engines"),
];

/// The actions, as forms name them. Each has a check of this name.
pub(crate) const ACTIONS: &[&str] = &[
    "pause-all",
    "resume-all",
    "pause",
    "resume",
    "drain",
    "purge",
    "resize",
    "run-now",
    "revive",
    "reschedule",
    "edit",
    "cancel",
    "bury",
    "delete",
    "node-quiet",
    "node-resume",
    "node-stop",
    "node-forget",
    "schedule-run",
    "schedule-pause",
    "schedule-resume",
    "schedule-remove",
    "pool-stop",
    "pool-start",
    "batch-flush",
    "batch-pop",
    "key-release",
    "error-mute",
    "error-unmute",
    "group-pause",
    "group-resume",
    "group-purge",
];

/// Returns the routes and actions of the dashboard that no check visits, and those that are not there
/// any more.
pub(crate) fn missing() -> Vec<String> {
    let (routes, actions) = (routes(), actions());
    let listed = PAGES.iter().chain(OTHERS).map(|(route, _)| *route).filter(|it| !it.is_empty());
    let listed: Vec<&str> = listed.collect();
    let gone = |name: &str, all: &[String]| !all.iter().any(|it| it == name);
    let mut wrong = vec![];
    wrong.extend(routes.iter().filter(|it| !listed.contains(&it.as_str())).cloned());
    wrong.extend(actions.iter().filter(|it| !ACTIONS.contains(&it.as_str())).cloned());
    wrong.extend(listed.iter().filter(|it| gone(it, &routes)).map(|it| format!("{it} is gone")));
    wrong.extend(ACTIONS.iter().filter(|it| gone(it, &actions)).map(|it| format!("{it} is gone")));
    wrong
}

/// Returns the routes of the dashboard.
fn routes() -> Vec<String> {
    let text = source("http", "mod.rs");
    quoted(text.split(".route(").skip(1))
}

/// Returns the names of the actions.
fn actions() -> Vec<String> {
    let text = source("page", "action.rs");
    let (_, names) = text.split_once("fn name(self)").unwrap_or_default();
    let (names, _) = names.split_once("\n    }").unwrap_or_default();
    quoted(names.split("=> ").skip(1))
}

/// Returns the texts with which these pieces of code begin.
fn quoted<'a>(pieces: impl Iterator<Item = &'a str>) -> Vec<String> {
    let text = |piece: &'a str| piece.trim_start().strip_prefix('"')?.split('"').next();
    pieces.filter_map(text).map(str::to_owned).collect()
}

/// Returns the first file of this name in a folder of the sources, or below it.
fn source(folder: &str, name: &str) -> String {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder)];
    while let Some(folder) = folders.pop() {
        if let Ok(text) = fs::read_to_string(folder.join(name)) {
            return text;
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    String::new()
}
