//! One request, as pages ask it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use poolder_core::view::{JobView, QueueView};
use serde_json::Value;

use super::said::said;
use super::{Fault, Fields, Shared};
use crate::access::{Access, Visitor};
use crate::look::{Fleet, Range};

/// The path under which visitors see the dashboard; empty at the root.
#[derive(Debug, Clone)]
pub(crate) struct Base(pub(crate) String);

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) base: String,
    pub(crate) visitor: Visitor,
    /// The path of the page within the dashboard, with its query.
    pub(crate) path: String,
    pub(crate) theme: &'static str,
    /// The sentence about the change that the visitor has just made.
    pub(crate) said: String,
    pub(crate) query: Fields,
}

impl FromRequestParts<Arc<Shared>> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Infallible> {
        let query = Query::<Fields>::try_from_uri(&parts.uri);
        // That of a page, whose reads go to the server together.
        let shared = parts.extensions.get::<Arc<Shared>>().unwrap_or(shared);
        let base = parts.extensions.get::<Base>().map_or(String::new(), |base| base.0.clone());
        let visitor = parts.extensions.get::<Visitor>().cloned();
        let hooks = &shared.hooks;
        let none = || Visitor::new(parts.clone(), hooks, Access::None);
        Ok(Self {
            shared: Arc::clone(shared),
            base,
            visitor: visitor.unwrap_or_else(none),
            path: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            theme: theme(parts),
            said: said(&parts.headers),
            query: query.map(|query| query.0).unwrap_or_default(),
        })
    }
}

impl Context {
    /// Returns a parameter of the query; empty when it is not given.
    pub(crate) fn query(&self, name: &str) -> &str {
        self.query.get(name)
    }

    /// Returns the link to a page.
    pub(crate) fn link(&self, path: &str) -> String {
        match path {
            "/" if !self.base.is_empty() => self.base.clone(),
            path => format!("{}{path}", self.base),
        }
    }

    pub(crate) fn range(&self) -> Range {
        Range::of(self.query("range"))
    }

    /// Returns the queues that the visitor sees.
    pub(crate) fn queues<'a>(&self, fleet: &'a Fleet) -> Vec<&'a QueueView> {
        fleet.queues.iter().filter(|view| self.visitor.sees(view.queue.as_str())).collect()
    }

    /// Fails for a queue that the visitor does not see, as for one that is not there.
    pub(crate) fn must_see(&self, queue: &str) -> Result<(), Fault> {
        match self.visitor.sees(queue) {
            true => Ok(()),
            false => Err(Fault::not_found(format!("There is no queue {queue}."))),
        }
    }

    /// Leaves out of a payload what visitors may not see.
    pub(crate) fn redact(&self, job: &JobView, payload: &mut Value) {
        if let Some(redact) = &self.shared.hooks.redact {
            redact(job, payload);
        }
    }
}

/// Returns the theme that the visitor has chosen; empty for that of the system.
fn theme(parts: &Parts) -> &'static str {
    let cookies = parts.headers.get_all(header::COOKIE);
    let mut cookies = cookies.iter().filter_map(|cookie: &HeaderValue| cookie.to_str().ok());
    let chosen = cookies.find_map(|cookies| {
        cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("poolder-theme="))
    });
    match chosen {
        Some("dark") => "dark",
        Some("light") => "light",
        _ => "",
    }
}
