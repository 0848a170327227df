//! The web server. It knows the client and the job type, but no worker.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use poolder::Client;
use serde::Deserialize;
use serde_json::json;

use crate::jobs::Welcome;

/// Returns the routes. The client is cheap to clone: all clones share one connection.
pub(crate) fn router(client: Client) -> Router {
    Router::new().route("/users", post(create_user)).route("/ready", get(ready)).with_state(client)
}

/// Answers a readiness probe: whether this server can take requests.
async fn ready(State(client): State<Client>) -> Response {
    match client.ping().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
}

/// Accepts a user and answers at once. The welcome is sent later by a worker, even if this process
/// ends.
async fn create_user(State(client): State<Client>, Json(user): Json<NewUser>) -> Response {
    match client.enqueue(Welcome { name: user.name }).await {
        Ok(receipt) => {
            let job = receipt.job.to_string();
            let location = [(header::LOCATION, format!("/jobs/{job}"))];
            (StatusCode::ACCEPTED, location, Json(json!({ "job": job }))).into_response()
        }
        Err(error) if error.is_invalid() => {
            (StatusCode::BAD_REQUEST, error.to_string()).into_response()
        }
        // Refused: the job was not stored. Unknown: it may have been. The caller decides whether to
        // repeat.
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}
