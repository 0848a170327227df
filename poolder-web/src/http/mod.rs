//! Requests and answers: the routes, the guard before them, the assets and the live streams.

mod assets;
mod guard;
mod live;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
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
        .route("/queues/{queue}/keys", get(page::keys))
        .route("/queues/{queue}/groups", get(page::groups))
        .route("/jobs", get(page::jobs))
        .route("/job/{*handle}", get(page::job))
        .route("/blast/{*handle}", get(page::blast_radius))
        .route("/errors", get(page::errors))
        .route("/errors/change", get(page::error_question).post(page::error_change))
        .route("/errors/{id}", get(page::error_group))
        .route("/schedules", get(page::schedules))
        .route("/schedules/form", get(page::schedule_form))
        .route("/schedules/change", post(page::schedule_changes))
        .route("/schedules/save", post(page::schedule_save))
        .route("/batches", get(page::batches))
        .route("/batches/{queue}/{name}", get(page::batcher))
        .route("/pools", get(page::pools))
        .route("/pools/{queue}", get(page::pool))
        .route("/nodes", get(page::nodes))
        .route("/nodes/{name}", get(page::node))
        .route("/kinds", get(page::kinds))
        .route("/kinds/{queue}/{kind}", get(page::kind))
        .route("/enqueue", get(page::enqueue_form).post(page::enqueue))
        .route("/journal", get(page::journal))
        .route("/audit", get(page::audit))
        .route("/server", get(page::server))
        .route("/search", get(page::search))
        .route("/act", post(page::act))
        .route("/confirm", get(page::confirm))
        .route("/bulk", post(page::bulk))
        .route("/task/{id}", get(page::task))
        .route("/task/{id}/stop", post(page::stop_task))
        .route("/views", post(page::views))
        .route("/theme", post(page::theme))
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
