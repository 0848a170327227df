//! The visitor as the actor of changes.

use poolder_client::Client;
use poolder_core::history::Actor;

use crate::request::Context;

/// Returns the client that makes changes in the name of the visitor.
pub(in crate::page) fn client(context: &Context) -> Client {
    context.shared.client.acting_as(Actor::new(actor(context)).via("dashboard"))
}

/// Returns the name of the visitor for the audit.
pub(in crate::page) fn actor(context: &Context) -> &str {
    match context.visitor.actor.as_str() {
        "" => "a visitor",
        actor => actor,
    }
}
