//! Live pages: streams of events with the part of a page that changes. Each stream asks for the look
//! that all share, so that the server is asked once a second however many viewers there are, and not
//! at all when there are none.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;

use crate::access::Access;
use crate::page;
use crate::request::{Context, Fault};

/// The time after which a silent stream sends a comment, so that proxies keep it open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams the overview.
pub(super) async fn overview(context: Context) -> Response {
    stream(context, |context| async move { page::overview_part(&context).await })
}

/// Streams the numbers of a queue.
pub(super) async fn queue(context: Context, Path(queue): Path<String>) -> Response {
    stream(context, move |context| {
        let queue = queue.clone();
        async move { page::queue_part(&context, &queue).await }
    })
}

/// Streams the progress of a change of many jobs.
pub(super) async fn task(context: Context, Path(id): Path<String>) -> Response {
    stream(context, move |context| {
        let id = id.clone();
        async move { page::task_part(&context, &id) }
    })
}

fn stream<F: Future<Output = Result<String, Fault>> + Send + 'static>(
    context: Context,
    part: impl Fn(Context) -> F + Clone + Send + 'static,
) -> Response {
    let events = unfold((context, String::new()), move |(context, last)| {
        let part = part.clone();
        async move {
            loop {
                tokio::time::sleep(context.shared.looks.every()).await;
                // The session of the visitor may have ended since.
                if context.visitor.access() < Access::Read {
                    return None;
                }
                let shared = Arc::clone(&context.shared);
                let (part, of) = (part.clone(), context.clone());
                let part = move |shared| part(Context { shared, ..of });
                let text = match shared.together(part).await {
                    Ok(text) => text,
                    Err(fault) => {
                        let event = Event::default().event("away").data(one_line(&fault.text));
                        return Some((Ok::<_, Infallible>(event), (context, String::new())));
                    }
                };
                if text != last {
                    // A line feed within an event is a field of its own.
                    let event = Event::default().data(text.replace('\r', ""));
                    return Some((Ok(event), (context, text)));
                }
            }
        }
    });
    // A proxy that collects answers would hold the events back.
    let headers = [("x-accel-buffering", "no")];
    (headers, Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))).into_response()
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}
