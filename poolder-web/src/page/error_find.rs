//! Finds a group of equal errors.

use poolder_core::history::{ErrorGroup, ErrorId};

use crate::request::{Context, Fault};

/// Returns a group of equal errors that the visitor sees.
pub(super) async fn find(context: &Context, id: &str) -> Result<ErrorGroup, Fault> {
    find_error(context, id.parse()?).await
}

/// Returns the group of an id that the visitor sees.
pub(super) async fn find_error(context: &Context, id: ErrorId) -> Result<ErrorGroup, Fault> {
    let groups = context.shared.looks.errors().await?;
    let found = groups.value.iter().find(|group| group.id == id);
    let found = found.filter(|group| context.visitor.sees(&group.sample.queue));
    found.cloned().ok_or_else(|| Fault::not_found(format!("No error {id} is remembered.")))
}
