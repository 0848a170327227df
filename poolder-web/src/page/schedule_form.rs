//! Schedules are added and changed in a form, with a preview of their next ticks.

use axum::Form;
use axum::response::Response;
use poolder_core::{
    Envelope, Format, JobId, Missed, Overlap, QueueName, Schedule, Timestamp, check_schedule_name,
};

use super::answer::answer;
use super::change::{self, ConfirmPage, Input, Question, done_and_back, enough, json};
use super::enqueue::{LANES, envelope, lane};
use super::shell::{json_word, moment_option, option, quoted, word};
use crate::access::Access;
use crate::request::{Context, Fault, Fields, moment};
use crate::show::{Cell, Column, Table, from_now, full};

/// The number of ticks that a preview shows.
const TICKS: usize = 10;

const OVERLAPS: &[&str] = &["allow", "skip", "queue one"];

/// Answers with the form of a new schedule, or of one that is changed.
pub(crate) async fn schedule_form(context: Context) -> Response {
    let page = async {
        let fields = match context.query.is_set("schedule") {
            true => stored(&context).await?,
            false => context.query.clone(),
        };
        form(&context, &fields, String::new(), None).await
    };
    let page = page.await;
    answer(&context, page).await
}

/// Shows the next ticks of the schedule of a form, or stores it.
pub(crate) async fn schedule_save(context: Context, Form(fields): Form<Fields>) -> Response {
    let done = saved(&context, &fields).await;
    change::answered(&context, done, async |why| form(&context, &fields, why, None).await).await
}

/// Returns the queue of the form when the visitor may change its schedules.
fn queue(context: &Context, fields: &Fields) -> Result<QueueName, Fault> {
    change::queue_of(context, fields, Access::Admin)
}

/// Returns the fields of a schedule that is stored.
async fn stored(context: &Context) -> Result<Fields, Fault> {
    let (queue, name) = (queue(context, &context.query)?, context.query("schedule"));
    let info = context.shared.client.schedules(&queue).get(name).await?;
    let missing = || Fault::not_found(format!("{queue} has no schedule {name}."));
    let Schedule { timing, zone, job, lane, missed, overlap, jitter, start, end, .. } =
        info.ok_or_else(missing)?.schedule;
    let at = |at: Option<Timestamp>| at.map(minute).unwrap_or_default();
    let fields = [
        ("was", name.to_owned()),
        ("schedule", name.to_owned()),
        ("queue", queue.to_string()),
        ("timing", timing.to_string()),
        ("zone", zone.to_string()),
        ("kind", job.kind().to_owned()),
        ("lane", lane.as_str().to_owned()),
        ("overlap", overlap_name(overlap).to_owned()),
        ("missed", missed_text(missed)),
        ("jitter", format!("{}s", jitter.as_secs())),
        ("start", at(start)),
        ("end", at(end)),
    ];
    Ok(fields.into_iter().collect())
}

/// Returns a moment as a field of a form writes it.
fn minute(at: Timestamp) -> String {
    let time = chrono::DateTime::from_timestamp_millis(at.millis());
    time.map(|time| time.format("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default()
}

fn overlap_name(overlap: Overlap) -> &'static str {
    match overlap {
        Overlap::Skip => "skip",
        Overlap::QueueOne => "queue one",
        _ => "allow",
    }
}

fn missed_text(missed: Missed) -> String {
    match missed {
        Missed::Skip => "skip".into(),
        Missed::All { most, within } => format!("all:{most}:{}s", within.as_secs()),
        _ => "one".into(),
    }
}

fn read_missed(text: &str) -> Result<Missed, Fault> {
    let wrong = || Fault::invalid(format!("{text:?} is not skip, one, or such as all:7:1d."));
    match text {
        "" | "one" => Ok(Missed::One),
        "skip" => Ok(Missed::Skip),
        _ => {
            let rest = text.strip_prefix("all:").and_then(|rest| rest.split_once(':'));
            let (most, within) = rest.ok_or_else(wrong)?;
            let most = most.parse().map_err(|_| wrong())?;
            Ok(Missed::All { most, within: poolder_cron::span(within).map_err(|_| wrong())? })
        }
    }
}

async fn form(
    context: &Context,
    fields: &Fields,
    again: String,
    shown: Option<(String, Table)>,
) -> Result<ConfirmPage, Fault> {
    if fields.is_set("queue") {
        queue(context, fields)?;
    } else {
        enough(context.visitor.access(), Access::Admin)?;
    }
    let was = fields.get("was");
    let value =
        |name: &'static str, label, kind| Input::new(name, label, kind).value(fields.get(name));
    let mut inputs = vec![];
    if was.is_empty() {
        inputs.push(value("schedule", "Name", "text").required());
        inputs.push(value("queue", "Queue", "text").required());
    }
    let timing = "a cron expression such as 30 7 * * Mon-Fri, or an interval such as 90s";
    let left = if was.is_empty() { "JSON" } else { "JSON; left empty, the job stays as it is" };
    inputs.extend([
        value("timing", "Timing", "text").hint(timing).required(),
        value("zone", "Time zone", "text").hint("such as Europe/Berlin; UTC if it is not given"),
        value("kind", "Kind of the job", "text").required(),
        value("payload", "Payload", "textarea").hint(left),
        value("version", "Version of the payload", "number").hint("1 if it is not given"),
        value("attempts", "Attempts", "number").hint("those of the pool if it is not given"),
        value("lane", "Lane", "select").choices(LANES),
        value("overlap", "While an earlier job is under way", "select").choices(OVERLAPS),
        value("missed", "Missed ticks", "text")
            .hint("skip, one, or such as all:7:1d; one if empty"),
        value("jitter", "Longest delay", "text").hint("such as 30s; none if it is not given"),
        value("start", "No tick before, in UTC", "datetime-local"),
        value("end", "No tick after, in UTC", "datetime-local"),
    ]);
    let mut hidden = vec![];
    if !was.is_empty() {
        hidden = fields.only(&["was", "schedule", "queue"]);
    }
    let asked = Question {
        title: if was.is_empty() { "Add a schedule" } else { "Change a schedule" },
        question: match was {
            "" => "A new schedule".into(),
            name => format!("Schedule {name} of {}", fields.get("queue")),
        },
        command: command(fields),
        again,
        path: "/schedules/save",
        hidden,
        inputs,
        shown,
        action: "save",
        button: "Save",
        second: Some(("preview", "Show its next ticks")),
        back: "/schedules".into(),
        ..Question::default()
    };
    Ok(ConfirmPage::new(context, asked).await)
}

/// Returns the command that stores the schedule of a form.
pub(super) fn command(fields: &Fields) -> String {
    let is_change = fields.is_set("was");
    let verb = if is_change { "change" } else { "add" };
    let (name, queue) = (word(fields, "schedule", "NAME"), word(fields, "queue", "QUEUE"));
    let is_interval = poolder_cron::span(fields.get("timing")).is_ok();
    let timing = format!(
        " --{} {}",
        if is_interval { "every" } else { "cron" },
        word(fields, "timing", "TIMING")
    );
    let mut command = format!("poolder schedule {verb} {name} --queue {queue}");
    // A change without a payload leaves the job as it is.
    if !is_change || fields.is_set("payload") {
        command += &format!(" --kind {}", word(fields, "kind", "KIND"));
    }
    command += &timing;
    if fields.is_set("payload") {
        command += &format!(" --payload {}", json_word(fields.get("payload"), "payload"));
        command += &option(fields, "version", "version-of-payload");
    }
    // Those that a new schedule has anyway are left out.
    for (name, usual) in [("lane", "normal"), ("overlap", "allow"), ("missed", "one")] {
        match fields.get(name) {
            value if value.is_empty() || (value == usual && !is_change) => {}
            value => command += &format!(" --{name} {}", quoted(&value.replace(' ', "-"))),
        }
    }
    for name in ["attempts", "zone", "jitter"] {
        command += &option(fields, name, name);
    }
    for name in ["start", "end"] {
        command += &match (fields.get(name), is_change) {
            ("", true) => format!(" --no-{name}"),
            _ => moment_option(fields, name),
        };
    }
    command
}

/// Sets all that the form says, but the job of a schedule whose payload was left empty.
fn apply(schedule: &mut Schedule, fields: &Fields) -> Result<(), Fault> {
    schedule.timing = timing(fields)?;
    schedule.zone = match fields.get("zone") {
        "" => poolder_core::Zone::default(),
        zone => zone.parse().map_err(|error| Fault::invalid(format!("{error}")))?,
    };
    schedule.lane = lane(fields.get("lane"))?;
    schedule.overlap = match fields.get("overlap") {
        "skip" => Overlap::Skip,
        "queue one" => Overlap::QueueOne,
        _ => Overlap::Allow,
    };
    schedule.missed = read_missed(fields.get("missed"))?;
    schedule.jitter = match fields.get("jitter") {
        "" => std::time::Duration::ZERO,
        text => poolder_cron::span(text)
            .map_err(|why| Fault::invalid(format!("{text:?} is no time: {why}.")))?,
    };
    let at = |name: &str| match fields.get(name) {
        "" => Ok(None),
        text => moment(text).map(Some),
    };
    (schedule.start, schedule.end) = (at("start")?, at("end")?);
    Ok(())
}

fn timing(fields: &Fields) -> Result<poolder_core::Timing, Fault> {
    let text = fields.get("timing");
    text.parse().map_err(|error| Fault::invalid(format!("{error}.")))
}

/// Makes the schedule of the form.
fn schedule(
    queue: &QueueName,
    fields: &Fields,
    before: Option<&Schedule>,
) -> Result<Schedule, Fault> {
    let job = match (before, fields.get("payload")) {
        (Some(before), "") if before.job.kind() == fields.get("kind") => {
            let attempts = fields.get("attempts");
            match attempts {
                "" => before.job.clone(),
                _ => {
                    let attempts = change::whole(attempts, "attempts")?;
                    before.job.with_policy(&before.job.policy().attempts(attempts))?
                }
            }
        }
        (Some(_), "") => return Err(Fault::invalid("Another kind needs another payload.")),
        (None, "") => {
            Envelope::build(JobId::generate(), fields.get("kind"), 1, None, Format::Json, |out| {
                out.extend(b"null");
                Ok(())
            })?
        }
        (_, text) => {
            json(text)?;
            envelope(queue, fields)?
        }
    };
    let mut schedule = Schedule::new(timing(fields)?, job);
    apply(&mut schedule, fields)?;
    schedule.check()?;
    Ok(schedule)
}

async fn saved(context: &Context, fields: &Fields) -> Result<Response, Fault> {
    let (queue, name) = (queue(context, fields)?, fields.get("schedule"));
    check_schedule_name(name)?;
    let client = change::client(context);
    let schedules = client.schedules(&queue);
    let before = schedules.get(name).await?;
    let is_change = fields.is_set("was");
    match (&before, is_change) {
        (None, true) => return Err(Fault::not_found(format!("{queue} has no schedule {name}."))),
        (Some(_), false) => {
            return Err(Fault::invalid(format!("{queue} has a schedule {name} already.")));
        }
        _ => {}
    }
    let new = schedule(&queue, fields, before.as_ref().map(|info| &info.schedule))?;
    if fields.get("action") == "preview" {
        let now = context.shared.client.time().await?;
        let page = form(context, fields, String::new(), Some(ticks(&new, now))).await;
        return Ok(answer(context, page).await);
    }
    let (timing, done) = (new.timing.to_string(), if is_change { "Changed" } else { "Added" });
    match is_change {
        true => {
            let change = |schedule: &mut Schedule| {
                schedule.clone_from(&new);
                Ok(())
            };
            schedules.change(name, change).await?;
        }
        false => {
            schedules.put(name, new).await?;
        }
    }
    let done = format!("{done} schedule {name} of {queue}: {timing}.");
    Ok(done_and_back(context, &done, &command(fields), "/schedules"))
}

/// Returns the next ticks of a schedule that begins now, without the delay of its jitter.
fn ticks(schedule: &Schedule, now: Timestamp) -> (String, Table) {
    let columns = vec![Column::text("Tick"), Column::text("In"), Column::text("In its zone")];
    let mut table = Table::new("Next ticks", columns).or("It never ticks.");
    for at in schedule.upcoming(now, now, 0.0).take(TICKS) {
        table.row([
            Cell::text(full(at)),
            Cell::text(from_now(at, now)).class("muted"),
            Cell::text(schedule.zone.show(at.millis())),
        ]);
    }
    ("Its next ticks".to_owned(), table)
}
