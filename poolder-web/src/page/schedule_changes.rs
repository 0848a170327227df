//! Several schedules are paused or resumed: those that were chosen in the list, or all that match a
//! text.

use axum::Form;
use axum::response::Response;
use poolder_core::broker::ScheduleInfo;
use poolder_core::{Error, QueueName, Status, check_schedule_name};

use super::answer::{answer, refuse};
use super::change::{
    self, Action, ConfirmPage, Question, allowed_on, asked_again, done_and_back, enough, summary,
};
use super::shell::{joined, quoted};
use crate::access::Access;
use crate::request::{Context, Fault, Fields, encoded};
use crate::show::{Cell, Column, Table, many, number};

/// The most schedules that one change concerns.
const MOST: usize = 1_000;
/// The number of schedules that the question shows.
const SHOWN: usize = 10;

/// Schedules by their queues and names.
type Named = Vec<(QueueName, String)>;

/// Pauses or resumes several schedules: those that were chosen at once, all that match after a
/// question.
pub(crate) async fn schedule_changes(context: Context, Form(fields): Form<Fields>) -> Response {
    match changed(&context, &fields).await {
        Ok(response) => response,
        Err(fault) => refuse(&context, fault).await,
    }
}

async fn changed(context: &Context, fields: &Fields) -> Result<Response, Fault> {
    let Some(action @ (Action::PauseSchedule | Action::ResumeSchedule)) =
        Action::of(fields.get("action"))
    else {
        return Err(Fault::invalid("Several schedules can be paused or resumed."));
    };
    if !fields.is_set("all") {
        let chosen = chosen(fields)?;
        for (queue, _) in &chosen {
            allowed_on(context, queue, action.needs())?;
        }
        return Ok(made(context, action, &chosen, fields, &command(action, &chosen)).await);
    }
    enough(context.visitor.access(), Access::Admin)?;
    let text = fields.get("match");
    let (found, left_out) = found(context, action, text).await?;
    let line = match left_out {
        true => command(action, &names(&found)),
        false => command_of_all(action, text),
    };
    let page = async |again| ask(context, (action, &found), fields, (&line, again)).await;
    if !fields.is_set("go") {
        return Ok(answer(context, Ok(page(String::new()).await)).await);
    }
    match not_confirmed(fields, found.len()) {
        Some(why) => Ok(asked_again(context, Ok(page(why).await)).await),
        None => Ok(made(context, action, &names(&found), fields, &line).await),
    }
}

/// Returns the schedules that were ticked.
fn chosen(fields: &Fields) -> Result<Named, Fault> {
    let read = |text: &str| {
        let (queue, name) = text.split_once('/').unwrap_or((text, ""));
        check_schedule_name(name)?;
        Ok::<_, Error>((QueueName::new(queue)?, name.to_owned()))
    };
    let chosen = fields.all("schedule").map(read).collect::<Result<Named, _>>()?;
    match chosen.len() {
        0 => Err(Fault::invalid("No schedule is chosen: tick some, or all that match.")),
        1..=MOST => Ok(chosen),
        _ => Err(Fault::invalid(format!("At most {MOST} schedules are changed together."))),
    }
}

/// Returns the schedules that match a text, that the visitor may change, and that are not as they
/// shall be; and whether others were left out since the visitor may not change them.
async fn found(
    context: &Context,
    action: Action,
    text: &str,
) -> Result<(Vec<ScheduleInfo>, bool), Fault> {
    let mut found = context.shared.client.find_schedules(text).await?;
    let concerns = |info: &ScheduleInfo| match action {
        Action::PauseSchedule => info.status == Status::Active,
        _ => info.status != Status::Active,
    };
    found.retain(concerns);
    let all = found.len();
    let may = |info: &ScheduleInfo| {
        context.visitor.access_to(info.partition.queue.as_str()) >= Access::Admin
    };
    found.retain(may);
    match found.len() {
        0 => Err(Fault::invalid("No schedule that matches is left to change.")),
        few if few <= MOST => Ok((found, few < all)),
        _ => Err(Fault::invalid(format!("More than {MOST} schedules match: narrow the filter."))),
    }
}

fn names(found: &[ScheduleInfo]) -> Named {
    found.iter().map(|info| (info.partition.queue.clone(), info.name.clone())).collect()
}

/// Returns the reason why a change of all that match is not made yet: it was not confirmed, or there
/// are more than the question has named.
fn not_confirmed(fields: &Fields, now: usize) -> Option<String> {
    let named: u64 = fields.get("count").parse().unwrap_or(0);
    let word = many(named, "schedule");
    if fields.get("typed") != word {
        return Some(format!("Type {word} to go on."));
    }
    (now as u64 > named).then(|| {
        format!("There were {word}, and now there are {}. Nothing was changed.", number(now as u64))
    })
}

async fn ask(
    context: &Context,
    (action, found): (Action, &[ScheduleInfo]),
    fields: &Fields,
    (line, again): (&str, String),
) -> ConfirmPage {
    let count = many(found.len() as u64, "schedule");
    let which = match fields.get("match") {
        "" => String::new(),
        text => format!(" of those that match {text:?}"),
    };
    let mut hidden = fields.only(&["match", "all"]);
    hidden.extend([("count", found.len().to_string()), ("go", "1".into())].map(field));
    let asked = Question {
        title: "Are you sure?",
        question: format!("{} {count}{which}?", action.word()),
        about: match action {
            Action::PauseSchedule => {
                "They tick no more until they are resumed. Their jobs that \
                                      wait or run go on."
            }
            _ => "They tick from now on. Ticks of the time in between are not made up for.",
        }
        .into(),
        command: line.to_owned(),
        again,
        path: "/schedules/change",
        hidden,
        typed: count,
        shown: Some(shown(context, found)),
        action: action.name(),
        button: action.word(),
        back: back(fields),
        ..Question::default()
    };
    ConfirmPage::new(context, asked).await
}

fn field((name, value): (&str, String)) -> (String, String) {
    (name.to_owned(), value)
}

fn shown(context: &Context, found: &[ScheduleInfo]) -> (String, Table) {
    let columns = vec![Column::text("Schedule"), Column::text("Queue"), Column::text("Timing")];
    let mut table = Table::new("Schedules", columns);
    for info in found.iter().take(SHOWN) {
        let queue = info.partition.queue.as_str();
        table.row([
            Cell::text(&info.name).class("name"),
            Cell::text(queue).link(context.link(&format!("/queues/{queue}"))),
            Cell::text(info.schedule.timing.to_string()),
        ]);
    }
    (format!("The first {}", many(table.rows.len() as u64, "schedule")), table)
}

fn back(fields: &Fields) -> String {
    match fields.get("match") {
        "" => "/schedules".into(),
        text => format!("/schedules?match={}", encoded(text)),
    }
}

/// Makes the change, and leads back to the list.
async fn made(
    context: &Context,
    action: Action,
    named: &Named,
    fields: &Fields,
    line: &str,
) -> Response {
    let client = change::client(context);
    let (verb, results) = match action {
        Action::PauseSchedule => ("Paused", client.pause_schedules(each(named)).await),
        _ => ("Resumed", client.resume_schedules(each(named)).await),
    };
    let failed = named.iter().zip(&results).filter_map(|((queue, name), result)| {
        Some(format!("{name} of {queue}: {}", result.as_ref().err()?))
    });
    let done = summary(verb, (results.len(), "schedule"), &failed.collect::<Vec<_>>());
    done_and_back(context, &done, line, &back(fields))
}

fn each(named: &Named) -> impl Iterator<Item = (&QueueName, &String)> {
    named.iter().map(|(queue, name)| (queue, name))
}

fn verb(action: Action) -> &'static str {
    if action == Action::PauseSchedule { "pause" } else { "resume" }
}

/// Returns the commands that change some schedules, one for each queue.
fn command(action: Action, named: &Named) -> String {
    let mut queues: Vec<&QueueName> = named.iter().map(|(queue, _)| queue).collect();
    queues.sort();
    queues.dedup();
    joined(queues.into_iter().map(|queue| {
        let own = named.iter().filter(|(of, _)| of == queue);
        let names: String = own.map(|(_, name)| format!(" {}", quoted(name))).collect();
        format!("poolder schedule {}{names} --queue {queue}", verb(action))
    }))
}

/// Returns the command that changes all schedules that match a text.
fn command_of_all(action: Action, text: &str) -> String {
    let text = if text.is_empty() { String::new() } else { format!(" --match {}", quoted(text)) };
    format!("poolder schedule {} --all{text}", verb(action))
}

/// Returns the commands of all changes of several schedules, each with its name, for one example.
pub(super) fn example_commands(fields: &Fields) -> Vec<(String, String)> {
    let Ok(queue) = QueueName::new(fields.get("queue")) else { return vec![] };
    let named = vec![(queue.clone(), "a".to_owned()), (queue, fields.get("schedule").to_owned())];
    let mut all = vec![];
    for action in [Action::PauseSchedule, Action::ResumeSchedule] {
        let lines =
            [command(action, &named), command_of_all(action, ""), command_of_all(action, "it's")];
        all.extend(lines.map(|line| (format!("{} of several", action.name()), line)));
    }
    all
}
