//! The question before a change of several jobs: how many there are as far as a bounded look can
//! tell, and the first ten of them.

use super::count::{Count, count, grown};
use super::selection::{Scope, Selection};
use crate::page::change::{Action, ConfirmPage, Input, Question, time};
use crate::page::listing;
use crate::request::{Context, Fault, Fields};
use crate::show::{many, number};

/// Counts the jobs of a selection.
async fn counted(context: &Context, selection: &Selection) -> Result<Count, Fault> {
    let Scope::All(queues) = &selection.scope else { return Ok(Count::default()) };
    let parts: Vec<_> = queues.iter().map(|queue| (queue.clone(), selection.listing)).collect();
    count(context, &parts, &selection.filter).await
}

/// Returns the change in words, with the number of its jobs where it is known.
pub(super) fn title(selection: &Selection, count: Option<&Count>) -> String {
    let verb = match selection.action {
        Action::Revive => "Revive",
        Action::RunNow => "Run",
        Action::Cancel => "Cancel",
        Action::Bury => "Bury",
        Action::Reschedule => "Reschedule",
        Action::Edit => "Edit and revive",
        _ => "Delete",
    };
    let queues = selection.queues();
    let of = match queues.as_slice() {
        [one] => one.to_string(),
        several => many(several.len() as u64, "queue"),
    };
    let jobs = match (&selection.scope, count) {
        (Scope::Chosen(jobs), _) => format!("{} that you chose", many(jobs.len() as u64, "job")),
        (_, Some(count)) if count.is_exact => {
            let jobs = if count.matched == 1 { "job" } else { "jobs" };
            format!("{} {} {jobs}", number(count.matched), selection.listing)
        }
        _ => format!("all {} jobs", selection.listing),
    };
    let which = match selection.filter.is_any() || !selection.is_all() {
        true => String::new(),
        false => format!(" that match {}", selection.filter),
    };
    format!("{verb} {jobs} of {of}{which}")
}

/// Returns the word that must be typed; empty for none.
fn typed(selection: &Selection) -> String {
    let must = selection.is_all()
        && matches!(selection.action, Action::Delete | Action::Cancel | Action::Edit);
    match selection.queues().as_slice() {
        _ if !must => String::new(),
        [one] => one.to_string(),
        several => format!("{} queues", several.len()),
    }
}

/// Asks before a change of several jobs.
pub(super) async fn ask(
    context: &Context,
    selection: &Selection,
    fields: &Fields,
    again: String,
) -> Result<ConfirmPage, Fault> {
    let found = counted(context, selection).await?;
    let mut about = String::new();
    if selection.is_all() && !found.is_exact {
        about = format!(
            "{} of the first {} match; the listing has {}, and the rest was not looked at. ",
            number(found.matched),
            number(found.looked_at),
            number(found.of)
        );
    }
    about += match selection.action {
        Action::Delete | Action::Cancel => "This cannot be undone.",
        Action::Bury => "They are dead then, and can be revived.",
        Action::Edit => {
            "The patch is merged into each payload: fields that it does not name stay, and null \
             removes one. All attempts are restored."
        }
        Action::Reschedule => "They wait until then, and take their turns in their lanes.",
        Action::Revive => "All their attempts are restored.",
        _ => "They run as soon as slots are free.",
    };
    let names = ["state", "where", "all", "job", "back"];
    let mut hidden = fields.only(&names);
    if selection.is_all() {
        let queues = selection.queues().into_iter();
        hidden.extend(queues.map(|queue| ("queue".to_owned(), queue.to_string())));
        hidden.push(("count".into(), found.most().to_string()));
    }
    hidden.push(("go".into(), "1".into()));
    let inputs = match selection.action {
        Action::Reschedule => time(fields),
        Action::Edit => {
            let written = if fields.is_set("patch") { fields.get("patch") } else { "{}" };
            let patch = Input::new("patch", "Patch", "textarea").value(written).required();
            vec![patch.hint("JSON, such as {\"template\": \"v3\", \"coupon\": null}")]
        }
        _ => vec![],
    };
    let table = listing::table(
        context,
        &found.first,
        (selection.listing, selection.queues().len() > 1, false),
        found.now,
    );
    let shown = match found.first.len() {
        0 => None,
        count => Some((format!("The first {}", many(count as u64, "job")), table)),
    };
    let asked = Question {
        title: "Are you sure?",
        question: format!("{}?", title(selection, Some(&found))),
        about,
        command: selection.command(fields),
        again,
        path: "/bulk",
        hidden,
        inputs,
        typed: typed(selection),
        shown,
        action: selection.action.name(),
        button: selection.action.word().trim_end_matches('…'),
        destroys: selection.action.destroys(),
        second: None,
        back: fields.get("back").to_owned(),
    };
    Ok(ConfirmPage::new(context, asked).await)
}

/// Returns the reason why a change of all jobs is not made yet: it was not confirmed, or there are
/// more jobs than the question has named.
pub(super) async fn not_confirmed(
    context: &Context,
    selection: &Selection,
    fields: &Fields,
) -> Result<Option<String>, Fault> {
    let word = typed(selection);
    if fields.get("typed") != word {
        return Ok(Some(format!("Type {word} to go on.")));
    }
    Ok(grown(fields, &counted(context, selection).await?))
}
