//! The web server. It knows the client, the jobs and the batcher's name, but no worker.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use poolder::{Client, Error};
use serde::Deserialize;
use serde_json::json;

use crate::jobs::{Charge, Visit};

/// Returns the routes.
pub(crate) fn router(client: Client) -> Router {
    Router::new().route("/orders", post(order)).route("/items/{item}", get(item)).with_state(client)
}

#[derive(Deserialize)]
struct Order {
    item: String,
    cents: u64,
}

/// Accepts an order. The answer names it; the money is taken later.
async fn order(State(client): State<Client>, Json(order): Json<Order>) -> Response {
    let number = format!("{}-{}", order.item, poolder::JobId::generate());
    let charge = Charge { order: number.clone(), cents: order.cents };
    match client.enqueue(charge).header("item", order.item).await {
        Ok(_) => (StatusCode::ACCEPTED, Json(json!({ "order": number }))).into_response(),
        Err(error) => refusal(&error),
    }
}

/// Shows an item, and notes the visit. A page is shown also when its visit is lost.
async fn item(State(client): State<Client>, Path(item): Path<String>) -> Json<serde_json::Value> {
    let visit = Visit { item: item.clone() };
    let counted = client.batcher("visits").push(visit).await.is_ok();
    Json(json!({ "item": item, "counted": counted }))
}

fn refusal(error: &Error) -> Response {
    let status = match error.is_invalid() {
        true => StatusCode::BAD_REQUEST,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, error.to_string()).into_response()
}
