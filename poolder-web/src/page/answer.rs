//! Answers of pages.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::frame::ErrorPage;
use crate::request::{Context, Fault};

/// Answers with a page, or with the reason why there is none.
pub(super) async fn answer<T: Template>(context: &Context, page: Result<T, Fault>) -> Response {
    match page.and_then(|page| rendered(&page)) {
        Ok(text) => Html(text).into_response(),
        Err(fault) => refuse(context, fault).await,
    }
}

/// Answers with the reason why there is no page.
pub(super) async fn refuse(context: &Context, fault: Fault) -> Response {
    let status = fault.status;
    let text = ErrorPage::new(context, fault).await.render().unwrap_or_default();
    (status, Html(text)).into_response()
}

/// Draws a page, or a part of one.
pub(super) fn rendered(page: &impl Template) -> Result<String, Fault> {
    page.render().map_err(|error| {
        tracing::error!(%error, "a page of the dashboard was not made");
        let text = "The page was not made: the log of the dashboard says why.";
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "It did not work", text)
    })
}
