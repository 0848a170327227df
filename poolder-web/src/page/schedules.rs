//! The schedules of all queues, with their last and next runs.

use axum::response::Response;
use futures_util::future::join_all;
use poolder_core::broker::ScheduleInfo;
use poolder_core::{RunOutcome, ScheduleRun, Status};

use super::answer::answer;
use super::bulk::Bar;
use super::cards::{Ask, Card, CardsPage};
use super::change::{Action, Buttons, Subject};
use super::frame::Frame;
use super::listing::tick;
use crate::access::Access;
use crate::request::{Context, Fault, encoded};
use crate::show::{
    Cell, Column, Table, escaped, from_now, full, many, moment, time_element, with_class,
};

/// The number of next runs that a title names.
const NEXT: usize = 3;

/// Answers with the schedules.
pub(crate) async fn schedules(context: Context) -> Response {
    let page = page(&context).await;
    answer(&context, page).await
}

async fn page(context: &Context) -> Result<CardsPage, Fault> {
    let fleet = context.shared.looks.fleet().await?;
    let client = &context.shared.client;
    let all = context.queues(&fleet.value).into_iter().map(|view| async {
        // One page of each queue: some hundred schedules.
        let page = client.schedules(&view.queue).page(0).await;
        (view.queue.clone(), page)
    });
    let text = context.query("match");
    let mut columns = vec![
        Column::text("Choose").class("pick").unseen(),
        Column::text("Schedule"),
        Column::text("Queue"),
        Column::text("Status"),
        Column::text("Timing"),
        Column::text("Kind"),
        Column::text("Next runs"),
        Column::text("Last run"),
        Column::number("Runs"),
        Column::number("Missed"),
        Column::text("Owner"),
        Column::text("Changes").class("acts").unseen(),
    ];
    let (mut notes, mut infos) = (String::new(), vec![]);
    for (queue, page) in join_all(all).await {
        match page {
            Ok((page, next)) => {
                infos.extend(page.into_iter().filter(|info| info.matches(text)));
                if next != 0 {
                    notes += &format!(" {queue} has more: poolder schedule list shows all.");
                }
            }
            Err(error) => notes += &format!(" {queue} could not be read: {error}."),
        }
    }
    infos.sort_by(|a, b| a.next.is_none().cmp(&b.next.is_none()).then(a.next.cmp(&b.next)));
    let bar = Bar::of_schedules(context, text, infos.len());
    if bar.is_none() {
        columns.remove(0);
    }
    let none = if text.is_empty() { "There is no schedule." } else { "No schedule matches." };
    let mut table = Table::new("Schedules", columns).or(none);
    for info in &infos {
        let mut row = cells(context, info);
        if bar.is_some() {
            row.insert(0, tick("schedule", &written(info), &info.name));
        }
        table.row(row);
    }
    let about = format!("{}.{notes}", many(table.rows.len() as u64, "schedule"));
    let frame = Frame::new(context, "Schedules", "/schedules", Some(&fleet)).await;
    let bar = bar.map(|bar| bar.markup()).unwrap_or_default();
    let card = Card { bar, ..Card::new("Schedules", "the next one first", table) };
    let mut page = CardsPage::new(frame, about, vec![card]);
    page.ask = Some(Ask {
        path: context.link("/schedules"),
        name: "match",
        label: "Name, queue or kind",
        value: text.to_owned(),
        hint: "a part of it",
        button: "Filter",
    });
    if context.visitor.access() >= Access::Admin {
        page.links.push(("Add a schedule…".into(), context.link("/schedules/form")));
    }
    Ok(page)
}

/// Returns a schedule as a form writes one of several.
pub(super) fn written(info: &ScheduleInfo) -> String {
    format!("{}/{}", info.partition.queue, info.name)
}

/// Returns the last runs, each as a mark that leads to its job.
fn runs(context: &Context, info: &ScheduleInfo) -> String {
    let mark = |run: &ScheduleRun| {
        let (image, tone, end) = match &run.end {
            None => ("running", "muted", "under way, or its end is not known".to_owned()),
            Some(end) => match end.how {
                RunOutcome::Completed => ("yes", "ok", format!("completed at {}", full(end.at))),
                RunOutcome::Dead => ("dead", "bad", format!("dead at {}", full(end.at))),
                how => ("no", "warn", format!("{how} at {}", full(end.at))),
            },
        };
        let text = escaped(&format!("{}: {end}", full(run.tick)));
        let link = escaped(&context.link(&format!("/job/{}/{}", info.partition, run.job)));
        let image = with_class(image, tone);
        format!(
            "<a href=\"{link}\" title=\"{text}\">{image}<span class=\"unseen\">{text}</span></a>"
        )
    };
    match info.last_runs.is_empty() {
        true => String::new(),
        false => {
            let marks: String = info.last_runs.iter().map(mark).collect();
            format!("<span class=\"marks\">{marks}</span>")
        }
    }
}

/// Returns the changes of a schedule that the visitor may make.
fn buttons(context: &Context, info: &ScheduleInfo) -> Cell {
    let queue = &info.partition.queue;
    let subject = Subject::Schedule(queue.clone(), info.name.clone());
    let pause = match info.status {
        Status::Active => Action::PauseSchedule,
        _ => Action::ResumeSchedule,
    };
    let actions = [Action::RunSchedule, pause, Action::RemoveSchedule];
    let mut cell = Buttons::row(context, &subject, "/schedules", actions);
    if context.visitor.access_to(queue.as_str()) >= Access::Admin {
        let path = format!("/schedules/form?queue={queue}&schedule={}", encoded(&info.name));
        let link = escaped(&context.link(&path));
        cell.after = format!(" <a class=\"btn small\" href=\"{link}\">Change…</a>");
    }
    cell
}

fn cells(context: &Context, info: &ScheduleInfo) -> Vec<Cell> {
    let queue = info.partition.queue.as_str();
    let active = info.status == Status::Active;
    let chip = if active { ("running", "ok") } else { ("pause", "warn") };
    let next: Vec<String> =
        info.upcoming().take(NEXT).map(|at| time_element(at, &full(at))).collect();
    let late = info.next.is_some_and(|next| active && next < info.now);
    let mut when = match info.next {
        Some(next) => Cell::markup(moment(next, info.now)),
        None => Cell::known(""),
    };
    if late {
        when = when.chip("errors", "late", "bad");
    }
    when.after += &format!("<br><span class=\"small faint\">{}</span>", next.join("<br>"));
    let last = match info.last_run {
        Some(last) => {
            let cell = Cell::text(from_now(last, info.now)).class("muted");
            match info.last_job {
                Some(job) => cell.link(context.link(&format!("/job/{}/{job}", info.partition))),
                None => cell,
            }
        }
        None => Cell::known(""),
    };
    let last = Cell { after: last.after + &runs(context, info), ..last };
    vec![
        Cell::text(&info.name).class("name"),
        Cell::text(queue).link(context.link(&format!("/queues/{queue}"))),
        Cell::text("").chip(chip.0, &info.status.to_string(), chip.1),
        Cell::text(info.schedule.timing.to_string())
            .small(&info.schedule.zone.to_string(), "faint"),
        Cell::text(info.schedule.job.kind()),
        when,
        last,
        Cell::count(info.runs),
        Cell::count(info.missed).class(if info.missed > 0 { "warn" } else { "" }),
        Cell::known(info.owner.as_deref().unwrap_or_default()).class("muted"),
        buttons(context, info),
    ]
}
