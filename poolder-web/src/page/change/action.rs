//! The changes that a visitor can make: their names, their rights and their words.

use crate::access::Access;
use crate::page::shell::{json_word, mute_options, time_options, word};
use crate::request::{Context, Fields};

use super::subject::{Sort, Subject};

/// A change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::page) enum Action {
    PauseAll,
    ResumeAll,
    Pause,
    Resume,
    Drain,
    Purge,
    Resize,
    RunNow,
    Revive,
    Reschedule,
    Edit,
    Cancel,
    Bury,
    Delete,
    QuietNode,
    ResumeNode,
    StopNode,
    ForgetNode,
    RunSchedule,
    PauseSchedule,
    ResumeSchedule,
    RemoveSchedule,
    StopPool,
    StartPool,
    FlushBatch,
    PopEntry,
    ReleaseKey,
    MuteError,
    UnmuteError,
    PauseGroup,
    ResumeGroup,
    PurgeGroup,
}

/// A button that makes a change, or leads to the question before it.
#[derive(Debug, Clone)]
pub(crate) struct Button {
    pub(crate) action: &'static str,
    pub(crate) word: &'static str,
    pub(crate) tone: &'static str,
    /// The page with the question; empty for a change that is made at once.
    pub(crate) question: String,
}

impl Action {
    pub(in crate::page) const ALL: [Self; 32] = [
        Self::PauseAll,
        Self::ResumeAll,
        Self::Pause,
        Self::Resume,
        Self::Drain,
        Self::Purge,
        Self::Resize,
        Self::RunNow,
        Self::Revive,
        Self::Reschedule,
        Self::Edit,
        Self::Cancel,
        Self::Bury,
        Self::Delete,
        Self::QuietNode,
        Self::ResumeNode,
        Self::StopNode,
        Self::ForgetNode,
        Self::RunSchedule,
        Self::PauseSchedule,
        Self::ResumeSchedule,
        Self::RemoveSchedule,
        Self::StopPool,
        Self::StartPool,
        Self::FlushBatch,
        Self::PopEntry,
        Self::ReleaseKey,
        Self::MuteError,
        Self::UnmuteError,
        Self::PauseGroup,
        Self::ResumeGroup,
        Self::PurgeGroup,
    ];

    /// Returns the action of a name in a form.
    pub(in crate::page) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    pub(in crate::page) fn name(self) -> &'static str {
        match self {
            Self::PauseAll => "pause-all",
            Self::ResumeAll => "resume-all",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Drain => "drain",
            Self::Purge => "purge",
            Self::Resize => "resize",
            Self::RunNow => "run-now",
            Self::Revive => "revive",
            Self::Reschedule => "reschedule",
            Self::Edit => "edit",
            Self::Cancel => "cancel",
            Self::Bury => "bury",
            Self::Delete => "delete",
            Self::QuietNode => "node-quiet",
            Self::ResumeNode => "node-resume",
            Self::StopNode => "node-stop",
            Self::ForgetNode => "node-forget",
            Self::RunSchedule => "schedule-run",
            Self::PauseSchedule => "schedule-pause",
            Self::ResumeSchedule => "schedule-resume",
            Self::RemoveSchedule => "schedule-remove",
            Self::StopPool => "pool-stop",
            Self::StartPool => "pool-start",
            Self::FlushBatch => "batch-flush",
            Self::PopEntry => "batch-pop",
            Self::ReleaseKey => "key-release",
            Self::MuteError => "error-mute",
            Self::UnmuteError => "error-unmute",
            Self::PauseGroup => "group-pause",
            Self::ResumeGroup => "group-resume",
            Self::PurgeGroup => "group-purge",
        }
    }

    /// Returns the sort of subjects that the action changes.
    pub(in crate::page) fn sort(self) -> Sort {
        match self {
            Self::PauseAll | Self::ResumeAll => Sort::Fleet,
            Self::Pause | Self::Resume | Self::Drain | Self::Purge | Self::Resize => Sort::Queue,
            Self::QuietNode | Self::ResumeNode | Self::StopNode | Self::ForgetNode => Sort::Node,
            Self::RunSchedule
            | Self::PauseSchedule
            | Self::ResumeSchedule
            | Self::RemoveSchedule => Sort::Schedule,
            Self::StopPool | Self::StartPool => Sort::Pool,
            Self::FlushBatch | Self::PopEntry => Sort::List,
            Self::ReleaseKey => Sort::Key,
            Self::MuteError | Self::UnmuteError => Sort::Error,
            Self::PauseGroup | Self::ResumeGroup | Self::PurgeGroup => Sort::Group,
            _ => Sort::Job,
        }
    }

    /// Returns the rights that the action needs.
    pub(in crate::page) fn needs(self) -> Access {
        match self {
            Self::Pause
            | Self::Resume
            | Self::RunNow
            | Self::Revive
            | Self::Reschedule
            | Self::Edit
            | Self::Cancel
            | Self::Bury
            | Self::RunSchedule
            | Self::PauseSchedule
            | Self::ResumeSchedule
            | Self::PauseGroup
            | Self::ResumeGroup
            | Self::FlushBatch
            | Self::MuteError
            | Self::UnmuteError => Access::Operate,
            _ => Access::Admin,
        }
    }

    /// Returns true for an action that asks first: since it cannot be undone, or needs a value.
    pub(in crate::page) fn asks(self) -> bool {
        let has_input = matches!(self, Self::Reschedule | Self::Edit | Self::MuteError);
        has_input || (self.needs() == Access::Admin && !self.is_start())
    }

    /// Returns true for an action that lets something go on.
    fn is_start(self) -> bool {
        matches!(self, Self::StartPool | Self::ResumeNode)
    }

    /// Returns true for an action that loses something.
    pub(in crate::page) fn destroys(self) -> bool {
        let keeps = matches!(
            self,
            Self::ResumeAll | Self::Reschedule | Self::Edit | Self::Resize | Self::MuteError
        );
        !keeps && (self.asks() || self == Self::Cancel)
    }

    pub(in crate::page) fn word(self) -> &'static str {
        match self {
            Self::PauseAll => "Pause all…",
            Self::ResumeAll => "Resume all…",
            Self::Pause | Self::PauseSchedule | Self::PauseGroup => "Pause",
            Self::Resume | Self::ResumeSchedule | Self::ResumeNode | Self::ResumeGroup => "Resume",
            Self::Drain => "Drain…",
            Self::Purge => "Delete the dead…",
            Self::Resize => "Resize…",
            Self::RunNow | Self::RunSchedule => "Run now",
            Self::Revive => "Revive",
            Self::Reschedule => "Reschedule…",
            Self::Edit => "Edit and retry…",
            Self::Cancel => "Cancel",
            Self::Bury => "Bury",
            Self::Delete => "Delete…",
            Self::QuietNode => "Quiet…",
            Self::StopNode | Self::StopPool => "Stop…",
            Self::ForgetNode => "Forget…",
            Self::RemoveSchedule => "Remove…",
            Self::StartPool => "Start",
            Self::FlushBatch => "Flush",
            Self::PopEntry => "Take out…",
            Self::ReleaseKey => "Release…",
            Self::MuteError => "Mute…",
            Self::UnmuteError => "Unmute",
            Self::PurgeGroup => "Purge…",
        }
    }

    /// Returns the command that does the same, with the values of a form.
    pub(in crate::page) fn command(self, subject: &Subject, fields: &Fields) -> String {
        let verb = match self {
            Self::Pause | Self::PauseAll => "queue pause",
            Self::Resume | Self::ResumeAll => "queue resume",
            Self::Drain => "queue drain",
            Self::Purge => "queue purge",
            Self::Resize => "queue resize",
            Self::RunNow => "job run-now",
            Self::Revive => "dead retry",
            Self::Reschedule => "job reschedule",
            Self::Edit => "job edit",
            Self::Cancel => "job cancel",
            Self::Bury => "job kill",
            Self::Delete => "job rm",
            Self::QuietNode => "node quiet",
            Self::ResumeNode => "node resume",
            Self::StopNode => "node stop",
            Self::ForgetNode => "node forget",
            Self::RunSchedule => "schedule run",
            Self::PauseSchedule => "schedule pause",
            Self::ResumeSchedule => "schedule resume",
            Self::RemoveSchedule => "schedule remove",
            Self::StopPool => "pool stop",
            Self::StartPool => "pool start",
            Self::FlushBatch => "batch flush",
            Self::PopEntry => "batch pop",
            Self::ReleaseKey => "unique release",
            Self::MuteError => "error mute",
            Self::UnmuteError => "error unmute",
            Self::PauseGroup => "group pause",
            Self::ResumeGroup => "group resume",
            Self::PurgeGroup => "group purge",
        };
        let values = match self {
            Self::Resize => format!(" {}", word(fields, "size", "SLOTS")),
            Self::MuteError => mute_options(fields),
            Self::PopEntry => format!(" --index {}", word(fields, "index", "N")),
            Self::Reschedule => match time_options(fields) {
                none if none.is_empty() => " --in TIME".into(),
                time => time,
            },
            // Where a part of the payload is hidden from visitors, they write a patch.
            Self::Edit if fields.is_set("patch") => {
                format!(" --patch {}", json_word(fields.get("patch"), "patch"))
            }
            Self::Edit => " --payload @payload.json".into(),
            _ => String::new(),
        };
        format!("poolder {verb} {}{values}", subject.argument())
    }

    /// Returns the button of the action; `back` is the page to which it leads.
    pub(in crate::page) fn button(
        self,
        context: &Context,
        subject: &Subject,
        back: &str,
    ) -> Button {
        let mut path = format!("/confirm?action={}", self.name());
        let fields = subject.fields();
        for (name, value) in
            fields.iter().map(|(name, value)| (*name, value.as_str())).chain([("back", back)])
        {
            path += &format!("&{name}={}", crate::request::encoded(value));
        }
        Button {
            action: self.name(),
            word: self.word(),
            tone: match self {
                Self::RunNow | Self::Revive | Self::RunSchedule | Self::StartPool => "primary",
                action if action.destroys() => "danger",
                _ => "",
            },
            question: if self.asks() { context.link(&path) } else { String::new() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_have_the_names_of_forms_and_those_that_destroy_ask() {
        for action in Action::ALL {
            assert_eq!(Action::of(action.name()), Some(action));
            assert!(action.needs() > Access::Read, "{action:?}");
            assert_eq!(action.word().ends_with('…'), action.asks(), "{action:?}");
        }
        assert!(Action::Drain.destroys() && Action::Purge.destroys() && Action::Delete.destroys());
        assert!(!Action::Edit.destroys() && !Action::Revive.destroys());
        assert_eq!((Action::of("nonsense"), Action::of("")), (None, None));
    }
}
