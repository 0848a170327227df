//! The changes that a visitor can make: their rights, their words, and the command that does the
//! same.

use poolder_core::JobState;

use crate::access::Access;
use crate::request::Context;

/// A change of a queue or a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Pause,
    Resume,
    Drain,
    Purge,
    RunNow,
    Revive,
    Cancel,
    Bury,
    Delete,
}

/// A button that makes a change, or leads to the question before it.
#[derive(Debug)]
pub(crate) struct Button {
    pub(crate) action: &'static str,
    pub(crate) word: &'static str,
    pub(crate) tone: &'static str,
    /// The page with the question; empty for a change that is made at once.
    pub(crate) question: String,
}

impl Action {
    const ALL: [Self; 9] = [
        Self::Pause,
        Self::Resume,
        Self::Drain,
        Self::Purge,
        Self::RunNow,
        Self::Revive,
        Self::Cancel,
        Self::Bury,
        Self::Delete,
    ];

    /// Returns the action of a name in a form.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Drain => "drain",
            Self::Purge => "purge",
            Self::RunNow => "run-now",
            Self::Revive => "revive",
            Self::Cancel => "cancel",
            Self::Bury => "bury",
            Self::Delete => "delete",
        }
    }

    /// Returns the rights that the action needs.
    pub(super) fn needs(self) -> Access {
        match self {
            Self::Drain | Self::Purge | Self::Delete => Access::Admin,
            _ => Access::Operate,
        }
    }

    /// Returns true for an action of a whole queue.
    pub(super) fn is_of_queue(self) -> bool {
        matches!(self, Self::Pause | Self::Resume | Self::Drain | Self::Purge)
    }

    /// Returns true for an action that cannot be undone, and asks first.
    pub(super) fn asks(self) -> bool {
        self.needs() == Access::Admin
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pause => "Pause",
            Self::Resume => "Resume",
            Self::Drain => "Drain…",
            Self::Purge => "Delete the dead…",
            Self::RunNow => "Run now",
            Self::Revive => "Revive",
            Self::Cancel => "Cancel",
            Self::Bury => "Bury",
            Self::Delete => "Delete…",
        }
    }

    /// Returns the command that does the same.
    pub(super) fn command(self, subject: &str) -> String {
        let verb = match self {
            Self::Pause => "queue pause",
            Self::Resume => "queue resume",
            Self::Drain => "queue drain",
            Self::Purge => "queue purge",
            Self::RunNow => "job run-now",
            Self::Revive => "dead retry",
            Self::Cancel => "job cancel",
            Self::Bury => "job kill",
            Self::Delete => "job rm",
        };
        format!("poolder {verb} {subject}")
    }

    fn button(self, context: &Context, field: &str, subject: &str, back: &str) -> Button {
        let query = |text: &str| crate::request::encoded(text);
        let path = format!(
            "/confirm?action={}&{field}={}&back={}",
            self.name(),
            query(subject),
            query(back)
        );
        Button {
            action: self.name(),
            word: self.word(),
            tone: match self {
                Self::RunNow | Self::Revive => "primary",
                action if action.asks() => "danger",
                _ => "",
            },
            question: if self.asks() { context.link(&path) } else { String::new() },
        }
    }
}

/// Returns the buttons of a queue that the visitor may press.
pub(super) fn of_queue(
    context: &Context,
    queue: &str,
    (paused, dead): (bool, bool),
) -> Vec<Button> {
    let pause = if paused { Action::Resume } else { Action::Pause };
    let all = [Some(pause), Some(Action::Drain), dead.then_some(Action::Purge)];
    let back = format!("/queues/{queue}");
    allowed(context, queue, all.into_iter().flatten())
        .map(|action| action.button(context, "queue", queue, &back))
        .collect()
}

/// Returns the buttons of a job that the visitor may press.
pub(super) fn of_job(
    context: &Context,
    queue: &str,
    handle: &str,
    state: Option<JobState>,
) -> Vec<Button> {
    let all: &[Action] = match state {
        Some(JobState::Scheduled | JobState::Retrying) => {
            &[Action::RunNow, Action::Cancel, Action::Bury, Action::Delete]
        }
        Some(JobState::Ready) => &[Action::Cancel, Action::Bury, Action::Delete],
        Some(JobState::Running) => &[Action::Cancel],
        Some(JobState::Dead) => &[Action::Revive, Action::Delete],
        _ => &[],
    };
    let back = format!("/job/{handle}");
    allowed(context, queue, all.iter().copied())
        .map(|action| action.button(context, "job", handle, &back))
        .collect()
}

fn allowed(
    context: &Context,
    queue: &str,
    all: impl Iterator<Item = Action>,
) -> impl Iterator<Item = Action> {
    let access = context.visitor.access_to(queue);
    all.filter(move |action| access >= action.needs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_have_the_names_of_forms_and_those_that_destroy_ask() {
        for action in Action::ALL {
            assert_eq!(Action::of(action.name()), Some(action));
            assert!(action.command("x").starts_with("poolder ") && action.needs() > Access::Read);
        }
        assert!(Action::Drain.asks() && Action::Purge.asks() && Action::Delete.asks());
        assert_eq!((Action::of("nonsense"), Action::of("")), (None, None));
    }
}
