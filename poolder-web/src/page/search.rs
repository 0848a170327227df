//! The search field: a job, a queue, a kind or a node.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use poolder_core::view::{Filter, JobView};
use poolder_core::{Handle, JobId};

use super::answer::refuse;
use crate::request::{Context, Fault, encoded};
use crate::show::number;

/// Leads to the page of what was looked for.
pub(crate) async fn search(context: Context) -> Response {
    match found(&context, context.query("q")).await {
        Ok(path) => {
            (StatusCode::SEE_OTHER, [(header::LOCATION, context.link(&path))]).into_response()
        }
        Err(fault) => refuse(&context, fault).await,
    }
}

async fn found(context: &Context, text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return Ok("/jobs".into());
    }
    if let Ok(handle) = text.parse::<Handle>() {
        return Ok(format!("/job/{handle}"));
    }
    if let Ok(id) = text.parse::<JobId>() {
        return by_id(context, id).await;
    }
    let fleet = context.shared.looks.fleet().await?;
    let queues = context.queues(&fleet.value);
    if queues.iter().any(|view| view.queue.as_str() == text) {
        return Ok(format!("/queues/{text}"));
    }
    // Anything else is a filter, the beginning of a kind, or else a whole kind.
    let is_filter = text.contains(['=', '~', '<', '>']) && text.parse::<Filter>().is_ok();
    let kinds = format!("kind={text}*");
    let filter = match text {
        text if is_filter => text.to_owned(),
        _ if kinds.parse::<Filter>().is_ok() => kinds,
        text => Filter::any().kind(text).to_string(),
    };
    Ok(format!("/jobs?where={}", encoded(&filter)))
}

async fn by_id(context: &Context, id: JobId) -> Result<String, Fault> {
    let sighting = context.shared.client.find(id).await?;
    let sees = |job: &JobView| context.visitor.sees(job.handle.partition.queue.as_str());
    if let Some(job) = sighting.job.as_ref().filter(|job| sees(job)) {
        return Ok(format!("/job/{}", job.handle));
    }
    if let Some(ended) = &sighting.ended
        && context.visitor.sees(ended.partition.queue.as_str())
    {
        return Ok(format!("/job/{}/{id}", ended.partition));
    }
    let partly = if sighting.is_partial {
        " Lanes with more than 10,000 jobs were searched in part."
    } else {
        ""
    };
    Err(Fault::not_found(format!(
        "No job {id} was found in {} partitions.{partly}",
        number(sighting.partitions)
    )))
}
