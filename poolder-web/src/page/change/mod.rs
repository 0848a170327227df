//! Changes: the question before one that asks, and the change itself.

mod action;
mod actor;
mod asked;
mod buttons;
mod fleet;
mod group;
mod inputs;
mod make;
mod mute;
mod question;
mod subject;
mod summary;

use axum::Form;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use poolder_core::QueueName;

use super::answer::{answer, refuse};
use super::error_find::find_error;
use super::theme::inner_path;
use crate::request::{Context, Fault, Fields, said_cookie};

pub(in crate::page) use action::Action;
pub(in crate::page) use actor::{actor, client};
pub(in crate::page) use asked::{ConfirmPage, Question};
pub(in crate::page) use buttons::{Buttons, of_job, of_queue};
pub(in crate::page) use inputs::{Input, read_time, time};
pub(in crate::page) use make::{BURIED, change_job, json};
pub(in crate::page) use question::shown;
pub(in crate::page) use subject::{Subject, allowed_on, enough, queue_of, whole};
pub(in crate::page) use summary::summary;

/// Answers with the question before a change.
pub(crate) async fn confirm(context: Context) -> Response {
    let page = async {
        let (action, subject) = checked(&context, &context.query).await?;
        question::ask(&context, (action, &subject), &context.query, String::new()).await
    };
    let page = page.await;
    answer(&context, page).await
}

/// Makes a change, and leads back to the page; asks again where the question was not answered, or
/// its number is not right any more.
pub(crate) async fn act(context: Context, Form(fields): Form<Fields>) -> Response {
    let (action, subject) = match checked(&context, &fields).await {
        Ok(checked) => checked,
        Err(fault) => return refuse(&context, fault).await,
    };
    if let Some(again) = question::not_confirmed(&context, action, &subject, &fields).await {
        let page = question::ask(&context, (action, &subject), &fields, again).await;
        return asked_again(&context, page).await;
    }
    let made = make::make(&context, action, &subject, &fields).await.map(|done| {
        let back = match (action, &subject) {
            // The page of a job that is gone leads nowhere.
            (Action::Delete, Subject::Job(job)) => format!("/queues/{}", job.partition.queue),
            _ => inner_path(fields.get("back")).to_owned(),
        };
        done_and_back(&context, &done, &action.command(&subject, &fields), &back)
    });
    match made {
        Err(fault) if !action.asks() => refuse(&context, fault).await,
        made => {
            let again = async |why| question::ask(&context, (action, &subject), &fields, why).await;
            answered(&context, made, again).await
        }
    }
}

/// Answers with what a form has led to. Where its fields were not understood it is asked once more
/// by `again`, with the reason and the typed text.
pub(in crate::page) async fn answered(
    context: &Context,
    done: Result<Response, Fault>,
    again: impl AsyncFnOnce(String) -> Result<ConfirmPage, Fault>,
) -> Response {
    match done {
        Ok(response) => response,
        Err(fault) if fault.status == StatusCode::BAD_REQUEST => {
            let page = again(fault.text).await;
            asked_again(context, page).await
        }
        Err(fault) => refuse(context, fault).await,
    }
}

/// Leads back to a page, which says what was done.
pub(in crate::page) fn done_and_back(
    context: &Context,
    done: &str,
    command: &str,
    back: &str,
) -> Response {
    let same = if command.is_empty() { String::new() } else { format!(" The same: {command}") };
    let headers = [
        (header::LOCATION, context.link(back)),
        (header::SET_COOKIE, said_cookie(&context.base, &format!("{done}{same}"))),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Answers with a question that is asked once more.
pub(in crate::page) async fn asked_again(
    context: &Context,
    page: Result<ConfirmPage, Fault>,
) -> Response {
    let mut asked = answer(context, page).await;
    if asked.status().is_success() {
        *asked.status_mut() = StatusCode::CONFLICT;
    }
    asked
}

/// Returns the commands of all actions, each with its name, for one example.
pub(in crate::page) fn example_commands(fields: &Fields) -> Vec<(String, String)> {
    let example = |action: Action| {
        let subject = Subject::of(action.sort(), fields).ok()?;
        Some((action.name().to_owned(), action.command(&subject, fields)))
    };
    Action::ALL.into_iter().filter_map(example).collect()
}

/// Returns the action and its subject when the visitor may take it.
async fn checked(context: &Context, fields: &Fields) -> Result<(Action, Subject), Fault> {
    let name = fields.get("action");
    let action =
        Action::of(name).ok_or_else(|| Fault::invalid(format!("There is no action {name:?}.")))?;
    let mut subject = Subject::of(action.sort(), fields)?;
    if let Subject::Error(id, queue) = &mut subject {
        let group = find_error(context, *id).await?;
        *queue = Some(QueueName::new(&group.sample.queue)?);
    }
    subject.allowed(context, action.needs())?;
    match subject {
        Subject::Fleet(_) => Ok((action, fleet::subject(context, action).await?)),
        subject => Ok((action, subject)),
    }
}
