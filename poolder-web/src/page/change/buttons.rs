//! The buttons of a page: those that the visitor may press.

use poolder_core::{Handle, JobState, QueueName};

use askama::Template;

use super::action::{Action, Button};
use super::subject::Subject;
use crate::request::{Context, encoded};
use crate::show::Cell;

/// The buttons of one subject.
#[derive(Debug, Default, Template)]
#[template(path = "parts/buttons.html")]
pub(crate) struct Buttons {
    class: &'static str,
    size: &'static str,
    post: String,
    back: String,
    /// The fields that name the subject.
    fields: Vec<(&'static str, String)>,
    pub(crate) all: Vec<Button>,
}

impl Buttons {
    /// Returns the buttons of a subject that the visitor may press.
    pub(in crate::page) fn of(
        context: &Context,
        subject: &Subject,
        back: &str,
        actions: impl IntoIterator<Item = Action>,
    ) -> Self {
        let access = match subject.queue() {
            Some(queue) => context.visitor.access_to(queue.as_str()),
            None => context.visitor.access(),
        };
        let allowed = actions.into_iter().filter(|action| access >= action.needs());
        let all = allowed.map(|action| action.button(context, subject, back)).collect();
        let (post, back) = (context.link("/act"), back.to_owned());
        Self { class: "push", size: "", post, back, fields: subject.fields(), all }
    }

    /// Returns the buttons of a subject as the cell of a table.
    pub(in crate::page) fn row(
        context: &Context,
        subject: &Subject,
        back: &str,
        actions: impl IntoIterator<Item = Action>,
    ) -> Cell {
        let buttons = Self::of(context, subject, back, actions);
        let small = Self { class: "cell", size: "small", ..buttons };
        // A template without input of its own does not fail.
        Cell::markup(small.render().unwrap_or_default())
    }

    /// Returns the button of an action that asks, as the cell of a table, with more fields for the
    /// question.
    pub(in crate::page) fn asking(
        context: &Context,
        subject: &Subject,
        back: &str,
        action: Action,
        more: &[(&str, String)],
    ) -> Cell {
        let mut buttons = Self::of(context, subject, back, [action]);
        for button in &mut buttons.all {
            for (name, value) in more {
                button.question += &format!("&{name}={}", encoded(value));
            }
        }
        let small = Self { class: "cell", size: "small", ..buttons };
        Cell::markup(small.render().unwrap_or_default())
    }
}

/// Returns the buttons of a queue.
pub(in crate::page) fn of_queue(
    context: &Context,
    queue: &QueueName,
    (paused, dead, addressed): (bool, bool, bool),
) -> Buttons {
    let pause = if paused { Action::Resume } else { Action::Pause };
    let resize = addressed.then_some(Action::Resize);
    let all = [Some(pause), resize, Some(Action::Drain), dead.then_some(Action::Purge)];
    let back = format!("/queues/{queue}");
    Buttons::of(context, &Subject::Queue(queue.clone()), &back, all.into_iter().flatten())
}

/// Returns the buttons of a job.
pub(in crate::page) fn of_job(
    context: &Context,
    handle: &Handle,
    state: Option<JobState>,
) -> Buttons {
    let all: &[Action] = match state {
        Some(JobState::Scheduled | JobState::Retrying) => &[
            Action::RunNow,
            Action::Reschedule,
            Action::Edit,
            Action::Cancel,
            Action::Bury,
            Action::Delete,
        ],
        Some(JobState::Ready) => {
            &[Action::Reschedule, Action::Edit, Action::Cancel, Action::Bury, Action::Delete]
        }
        Some(JobState::Running) => &[Action::Cancel],
        Some(JobState::Dead) => &[Action::Revive, Action::Edit, Action::Delete],
        _ => &[],
    };
    let back = format!("/job/{handle}");
    Buttons::of(context, &Subject::Job(handle.clone()), &back, all.iter().copied())
}
