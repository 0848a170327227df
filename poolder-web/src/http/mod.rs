//! Requests and answers: the routes, the guard before them, the assets and the live streams.

mod assets;
mod guard;
mod live;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tower_http::compression::CompressionLayer;

use crate::page;
use crate::request::Shared;

/// Returns the router of a dashboard.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(shared: Shared) -> Router<S> {
    let shared = Arc::new(shared);
    Router::new()
        .route("/", get(page::overview))
        .route("/queues", get(page::queues))
        .route("/queues/{queue}", get(page::queue))
        .route("/jobs", get(page::jobs))
        .route("/job/{*handle}", get(page::job))
        .route("/errors", get(page::errors))
        .route("/schedules", get(page::schedules))
        .route("/nodes", get(page::nodes))
        .route("/kinds", get(page::kinds))
        .route("/journal", get(page::journal))
        .route("/audit", get(page::audit))
        .route("/server", get(page::server))
        .route("/search", get(page::search))
        .route("/act", axum::routing::post(page::act))
        .route("/confirm", get(page::confirm))
        .route("/bulk", axum::routing::post(page::bulk))
        .route("/task/{id}", get(page::task))
        .route("/task/{id}/stop", axum::routing::post(page::stop_task))
        .route("/theme", axum::routing::post(page::theme))
        .route("/live/overview", get(live::overview))
        .route("/live/queue/{queue}", get(live::queue))
        .route("/live/task/{id}", get(live::task))
        .route("/assets/{name}", get(assets::asset))
        .route("/robots.txt", get(assets::robots))
        .fallback(page::missing)
        // A payload of a job has at most 1 MiB, which a form writes in three characters a byte.
        .layer(DefaultBodyLimit::max(4 << 20))
        .layer(from_fn_with_state(Arc::clone(&shared), guard::guard))
        // Streams of events and what is compressed already are left as they are.
        .layer(CompressionLayer::new())
        .with_state(shared)
}
