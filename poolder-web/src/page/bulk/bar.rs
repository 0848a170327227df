//! The bar of a list with the changes of several of its rows.

use askama::Template;

use poolder_core::view::{Filter, Listing};

use super::selection::actions;
use crate::access::Access;
use crate::page::change::Action;
use crate::request::Context;
use crate::show::{many, number};

/// The bar of a list. The ticks of its rows belong to its form, `bulk`.
#[derive(Debug, Template)]
#[template(path = "parts/bulk.html")]
pub(crate) struct Bar {
    post: String,
    /// The words that stand there while nothing is chosen.
    hint: &'static str,
    /// The fields that say which list it is.
    fields: Vec<(&'static str, String)>,
    /// The words of the choice of all rows; empty for a visitor who may only change those that are
    /// chosen one by one.
    all: String,
    buttons: Vec<BarButton>,
}

/// A button of the bar.
#[derive(Debug)]
struct BarButton {
    action: &'static str,
    word: String,
    tone: &'static str,
}

impl Bar {
    /// Returns the bar as markup.
    pub(in crate::page) fn markup(&self) -> String {
        // A template without input of its own does not fail.
        self.render().unwrap_or_default()
    }

    /// Returns the bar of a list of schedules: those that match a text are paused, or resumed.
    pub(in crate::page) fn of_schedules(
        context: &Context,
        text: &str,
        count: usize,
    ) -> Option<Self> {
        let access = context.visitor.access();
        let all = [Action::PauseSchedule, Action::ResumeSchedule];
        let all = all.into_iter().filter(|action| access >= action.needs());
        let buttons: Vec<_> = all.map(button).collect();
        let schedules = many(count as u64, "schedule");
        (count > 0 && !buttons.is_empty()).then(|| Self {
            post: context.link("/schedules/change"),
            hint: "Choose schedules below",
            fields: vec![("match", text.to_owned())],
            all: match (access, text) {
                (Access::Admin, "") => format!("all {schedules}"),
                (Access::Admin, _) => format!("all that match, {schedules}"),
                _ => String::new(),
            },
            buttons,
        })
    }
}

/// Returns the bar of a list, for a visitor who may change jobs of it; `count` is the number of jobs
/// of the listing.
pub(in crate::page) fn bar(
    context: &Context,
    (queue, listing, count): (Option<&str>, Listing, u64),
    filter: &Filter,
) -> Option<Bar> {
    let access = match queue {
        Some(queue) => context.visitor.access_to(queue),
        None => context.visitor.access(),
    };
    if access < Access::Operate || count == 0 {
        return None;
    }
    let own = queue.map(|queue| ("queue", queue.to_owned()));
    let others = [
        ("state", listing.to_string()),
        ("where", filter.to_string()),
        ("back", context.path.clone()),
    ];
    let allowed = actions(listing).iter().filter(|action| access >= action.needs());
    Some(Bar {
        post: context.link("/bulk"),
        hint: "Choose jobs below",
        fields: own.into_iter().chain(others).collect(),
        all: match (access, filter.is_any()) {
            (Access::Admin, true) => format!("all {}", many(count, "job")),
            (Access::Admin, false) => format!("all that match, of {}", number(count)),
            _ => String::new(),
        },
        buttons: allowed.map(|action| button(*action)).collect(),
    })
}

fn button(action: Action) -> BarButton {
    let word = action.word();
    BarButton {
        action: action.name(),
        // Several jobs are cancelled after a question, one job is not.
        word: if action == Action::Cancel { format!("{word}…") } else { word.to_owned() },
        tone: if action.destroys() { "danger" } else { "" },
    }
}
