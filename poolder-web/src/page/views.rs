//! Views of lists of jobs that visitors save under names, for all dashboards, and remove.

use axum::Form;
use axum::response::Response;
use poolder_core::broker::SavedView;

use super::answer::refuse;
use super::change::{client, done_and_back, enough};
use super::theme::inner_path;
use crate::access::Access;
use crate::request::{Context, Fault, Fields};

/// The saved views, as lists show them.
#[derive(Debug)]
pub(crate) struct Views {
    pub(crate) links: Vec<ViewLink>,
    /// True for a visitor who may save and remove views.
    pub(crate) may_change: bool,
}

/// A link to a saved view.
#[derive(Debug)]
pub(crate) struct ViewLink {
    pub(crate) name: String,
    pub(crate) link: String,
    pub(crate) is_here: bool,
}

/// Returns the saved views of the lists that the visitor sees. A list is shown without them where
/// they cannot be read.
pub(super) async fn saved(context: &Context) -> Views {
    let views = context.shared.client.saved_views().await.unwrap_or_default();
    let seen = views
        .into_iter()
        .filter(|view| queue_of(&view.path).is_none_or(|queue| context.visitor.sees(queue)));
    let link = |view: SavedView| ViewLink {
        link: context.link(&view.path),
        is_here: view.path == context.path,
        name: view.name,
    };
    let may_change = context.visitor.access() >= Access::Operate;
    Views { links: seen.map(link).collect(), may_change }
}

/// Returns the queue of a list; `None` for a list of all queues.
fn queue_of(path: &str) -> Option<&str> {
    path.strip_prefix("/queues/")?.split(['/', '?', '#']).next()
}

/// Saves the view of a form under its name, or removes it, and leads back to its list.
pub(crate) async fn views(context: Context, Form(fields): Form<Fields>) -> Response {
    match changed(&context, &fields).await {
        Ok(done) => done_and_back(&context, &done, "", inner_path(fields.get("path"))),
        Err(fault) => refuse(&context, fault).await,
    }
}

/// Makes the change of a form. Returns the sentence that says what was done.
async fn changed(context: &Context, fields: &Fields) -> Result<String, Fault> {
    let (name, client) = (fields.get("name"), client(context));
    enough(context.visitor.access(), Access::Operate)?;
    if fields.get("action") == "remove" {
        return Ok(match client.remove_view(name).await? {
            true => format!("Removed the view \"{name}\"."),
            false => format!("The view \"{name}\" was removed already."),
        });
    }
    let view = SavedView::new(name, inner_path(fields.get("path")))?;
    Ok(match client.save_view(&view).await? {
        true => format!("Saved the view \"{name}\" for all visitors."),
        false => format!("Saved the view \"{name}\" in place of the one before."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_belongs_to_the_queue_of_its_path() {
        assert_eq!(queue_of("/queues/mail?state=dead"), Some("mail"));
        assert_eq!(queue_of("/queues/mail"), Some("mail"));
        assert_eq!(queue_of("/queues/mail/keys?x"), Some("mail"));
        assert_eq!(queue_of("/jobs?state=dead"), None);
    }
}
