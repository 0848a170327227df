//! Views of lists of jobs that a visitor saves under names, and removes.

use axum::Form;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::refuse;
use super::theme::inner_path;
use crate::request::{Context, Fault, Fields, views_cookie, with_view};

/// A link to a saved view.
#[derive(Debug)]
pub(crate) struct ViewLink {
    pub(crate) name: String,
    pub(crate) link: String,
    pub(crate) is_here: bool,
}

/// Returns the links to the views of the visitor.
pub(super) fn view_links(context: &Context) -> Vec<ViewLink> {
    let link = |(name, path): &(String, String)| ViewLink {
        name: name.clone(),
        link: context.link(path),
        is_here: *path == context.path,
    };
    context.views.iter().map(link).collect()
}

/// Saves the view of a form under its name, or removes it, and leads back to its list.
pub(crate) async fn views(context: Context, Form(fields): Form<Fields>) -> Response {
    let (name, path) = (fields.get("name"), inner_path(fields.get("path")));
    let views = match fields.get("action") {
        "remove" => {
            let others = context.views.iter().filter(|(of, _)| of != name);
            Some(others.cloned().collect())
        }
        _ => with_view(context.views.clone(), name, path),
    };
    let Some(views) = views else {
        let text =
            "A view needs a name of at most 40 characters, and a browser keeps eight of them.";
        return refuse(&context, Fault::invalid(text)).await;
    };
    let cookie = views_cookie(&context.base, &views);
    let headers = [(header::LOCATION, context.link(path)), (header::SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}
