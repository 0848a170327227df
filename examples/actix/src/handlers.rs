//! The web server. It knows the client and the job type, but no worker.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Data, Json, Path, ServiceConfig, get, post};
use actix_web::{HttpResponse, Responder};
use poolder::{Client, JobId, JobState, Stored};
use serde::Deserialize;
use serde_json::json;

use crate::jobs::Welcome;

/// Time within which the same user is welcomed once, and for which `GET /jobs/{id}` finds the end of
/// the job.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Adds the routes. They find the client in the data of the application: all threads of the server
/// share its connection.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/users", post().to(create_user))
        .route("/jobs/{id}", get().to(show_job))
        .route("/ready", get().to(ready));
}

/// Answers a readiness probe: whether this server can take requests.
async fn ready(client: Data<Client>) -> impl Responder {
    match client.ping().await {
        Ok(()) => HttpResponse::Ok().finish(),
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
}

/// Accepts a user and answers at once: 202 with the place of the job, or 409 when this user is
/// welcomed already. The welcome is sent later by a worker, even if this process ends.
async fn create_user(client: Data<Client>, user: Json<NewUser>) -> HttpResponse {
    let name = user.into_inner().name;
    let id = format!("welcome-{name}");
    let welcome =
        client.enqueue(Welcome { name }).id(id).idempotent(DAY).keep_completion(DAY).await;
    match welcome {
        Ok(receipt) => {
            let mut response = match receipt.stored {
                Stored::Already => HttpResponse::Conflict(),
                _ => HttpResponse::Accepted(),
            };
            let location = (header::LOCATION, format!("/jobs/{}", receipt.job));
            response.insert_header(location).json(json!({ "job": receipt.job }))
        }
        Err(error) => failed(&error),
    }
}

/// Answers where a job is: its state, and how far a running one has come.
async fn show_job(client: Data<Client>, id: Path<String>) -> HttpResponse {
    let Ok(id) = id.parse::<JobId>() else {
        return HttpResponse::NotFound().body("no job has such an id");
    };
    let job = client.job(id.in_queue("mail"));
    let found = match job.state().await {
        Ok(Some(JobState::Running)) => job.progress().await.map(|at| (JobState::Running, at)),
        Ok(Some(state)) => Ok((state, None)),
        Ok(None) => return HttpResponse::NotFound().body("no trace of this job"),
        Err(error) => Err(error),
    };
    match found {
        Ok((state, progress)) => {
            HttpResponse::Ok().json(json!({ "job": id, "state": state, "progress": progress }))
        }
        Err(error) => failed(&error),
    }
}

/// Answers a failed call, and says what the sender of the request may do.
fn failed(error: &poolder::Error) -> HttpResponse {
    let retry = |seconds: &'static str, advice: &str| {
        HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, seconds))
            .body(format!("{error}\n{advice}\n"))
    };
    if error.is_invalid() || error.is_too_large() {
        return HttpResponse::BadRequest().body(error.to_string());
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
    HttpResponse::ServiceUnavailable().body(error.to_string())
}
