//! The bar of a list with the changes of several jobs.

use poolder_core::view::{Filter, Listing};

use super::selection::actions;
use crate::access::Access;
use crate::page::change::Action;
use crate::request::Context;
use crate::show::{many, number};

/// The bar of a list.
#[derive(Debug)]
pub(crate) struct Bar {
    /// The fields that say which list it is.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// The words of the choice of all jobs; empty for a visitor who may only change those that are
    /// chosen one by one.
    pub(crate) all: String,
    pub(crate) buttons: Vec<BarButton>,
}

/// A button of the bar.
#[derive(Debug)]
pub(crate) struct BarButton {
    pub(crate) action: &'static str,
    pub(crate) word: String,
    pub(crate) tone: &'static str,
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
