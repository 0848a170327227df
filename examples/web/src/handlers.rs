//! The web server. It knows the client and the job type, but no worker.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use poolder::{Client, JobId, JobState, Stored};
use serde::Deserialize;
use serde_json::json;

use crate::jobs::Welcome;

/// Time within which the same user is welcomed once, and for which `GET /jobs/{id}` finds the end of
/// the job.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Returns the routes. The client is cheap to clone: all clones share one connection.
pub(crate) fn router(client: Client) -> Router {
    Router::new()
        .route("/users", post(create_user))
        .route("/jobs/{id}", get(show_job))
        .route("/ready", get(ready))
        .with_state(client)
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

/// Accepts a user and answers at once: 202 with the place of the job, or 409 when this user is
/// welcomed already. The welcome is sent later by a worker, even if this process ends.
async fn create_user(State(client): State<Client>, Json(user): Json<NewUser>) -> Response {
    let id = format!("welcome-{}", user.name);
    let welcome = client
        .enqueue(Welcome { name: user.name })
        .id(id)
        .idempotent(DAY)
        .keep_completion(DAY)
        .await;
    match welcome {
        Ok(receipt) => {
            let status = match receipt.stored {
                Stored::Already => StatusCode::CONFLICT,
                _ => StatusCode::ACCEPTED,
            };
            let location = [(header::LOCATION, format!("/jobs/{}", receipt.job))];
            (status, location, Json(json!({ "job": receipt.job }))).into_response()
        }
        Err(error) => failed(&error),
    }
}

/// Answers where a job is: its state, and how far a running one has come.
async fn show_job(State(client): State<Client>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<JobId>() else {
        return (StatusCode::NOT_FOUND, "no job has such an id").into_response();
    };
    let job = client.job(id.in_queue("mail"));
    let found = match job.state().await {
        Ok(Some(JobState::Running)) => job.progress().await.map(|at| (JobState::Running, at)),
        Ok(Some(state)) => Ok((state, None)),
        Ok(None) => return (StatusCode::NOT_FOUND, "no trace of this job").into_response(),
        Err(error) => Err(error),
    };
    match found {
        Ok((state, progress)) => {
            Json(json!({ "job": id, "state": state, "progress": progress })).into_response()
        }
        Err(error) => failed(&error),
    }
}

/// Answers a failed call, and says what the sender of the request may do.
fn failed(error: &poolder::Error) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let retry = |seconds: &'static str, advice: &str| {
        let retry_after: [(HeaderName, &str); 1] = [(header::RETRY_AFTER, seconds)];
        (status, retry_after, format!("{error}\n{advice}\n")).into_response()
    };
    if error.is_invalid() || error.is_too_large() {
        return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
    }
    // Refused: certainly nothing was stored. Full: nothing was stored either, and room takes longer.
    if error.is_refused() {
        return retry("1", "Nothing was stored: send the request again.");
    }
    if error.is_full() {
        return retry("10", "Nothing was stored, the queue is full: send the request later.");
    }
    // Unknown: the job may have been stored. The id of the job is derived from the user, and the
    // enqueue is idempotent, so that a repetition cannot welcome the user twice.
    if error.is_unknown() {
        return retry(
            "1",
            "The job may have been stored: the same request is safe, it is answered with 409 if so.",
        );
    }
    (status, error.to_string()).into_response()
}
