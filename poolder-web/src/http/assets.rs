//! Answers with the assets.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::request::Assets;

/// Answers with an asset.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let Some((kind, content)) = Assets::names().find(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kept = "public, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)], content).into_response()
}

/// Asks search engines to leave the dashboard alone.
pub(super) async fn robots() -> &'static str {
    "User-agent: *\nDisallow: /\n"
}
