//! A group of equal errors is muted for a time, and its mute is ended.

use poolder_client::{Client, MuteErrors};
use poolder_core::history::ErrorId;

use super::action::Action;
use super::asked::Question;
use super::inputs::Input;
use super::subject::whole;
use crate::page::error_find::find_error;
use crate::page::shell::{MUTE_ENDS, MUTE_TIME, mutes_until_deploy};
use crate::request::{Context, Fault, Fields};
use crate::show::{cut, full};

/// Asks for how long.
pub(super) async fn ask(
    context: &Context,
    id: ErrorId,
    fields: &Fields,
    asked: &mut Question,
) -> Result<(), Fault> {
    let group = find_error(context, id).await?;
    let message = match group.sample.message.as_str() {
        "" => group.sample.cause.to_string(),
        message => cut(message, 120),
    };
    asked.question = format!("Mute {message:?} of {}?", group.sample.kind);
    asked.about =
        "Until then it is left out of what needs a person, which says how many errors are \
                   muted. Its jobs are retried and die as before, and it is counted."
            .into();
    let time = if fields.is_set("for") { fields.get("for") } else { MUTE_TIME };
    asked.inputs = vec![
        Input::new("for", "For", "text").value(time).hint("such as 4h, 1d or 7d").required(),
        Input::new("ends", "It ends", "select").value(fields.get("ends")).choices(MUTE_ENDS),
        Input::new("most", "While it is seen at most", "number")
            .value(fields.get("most"))
            .hint("times an hour; without a limit if it is not given"),
    ];
    Ok(())
}

/// Mutes the group, or ends its mute.
pub(super) async fn make(
    context: &Context,
    client: &Client,
    action: Action,
    id: ErrorId,
    fields: &Fields,
) -> Result<String, Fault> {
    let group = find_error(context, id).await?;
    let done = if action == Action::UnmuteError {
        match client.unmute_errors(&group).await? {
            true => format!("Error {id} is muted no more."),
            false => format!("Error {id} was not muted."),
        }
    } else {
        let text = fields.get("for");
        let time = poolder_cron::span(text)
            .map_err(|why| Fault::invalid(format!("{text:?} is no time: {why}, such as 4h.")))?;
        let mut mute = client.mute_errors(&group, time);
        if mutes_until_deploy(fields) {
            mute = mute.until_deploy();
        }
        if fields.is_set("most") {
            mute = MuteErrors::at_most(mute, whole(fields.get("most"), "times an hour")?);
        }
        let mute = mute.await?;
        let also = mute.to_string();
        let also = if also.is_empty() { also } else { format!(", {also}") };
        format!("Muted error {id} until {}{also}.", full(mute.until))
    };
    context.shared.looks.forget_errors().await;
    Ok(done)
}
