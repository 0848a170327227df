//! The rights of visitors, and the hooks of an application.

use std::fmt;
use std::sync::Arc;

use axum::http::request::Parts;
use poolder_core::view::JobView;
use serde_json::Value;

/// The rights of a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Access {
    /// Sees nothing.
    None,
    /// Sees everything, and changes nothing.
    Read,
    /// Pauses and resumes queues; runs, reschedules, cancels, revives and buries single jobs;
    /// enqueues.
    Operate,
    /// Also deletes, drains, purges, resizes, stops, and changes many jobs at once.
    Admin,
}

impl Access {
    /// Returns the name of the rights, as pages show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

pub(crate) type Authorize = dyn Fn(&Parts, Option<&str>) -> Access + Send + Sync;
pub(crate) type Actor = dyn Fn(&Parts) -> String + Send + Sync;
pub(crate) type Redact = dyn Fn(&JobView, &mut Value) + Send + Sync;

/// The hooks of an application.
#[derive(Clone)]
pub(crate) struct Hooks {
    pub(crate) authorize: Arc<Authorize>,
    pub(crate) actor: Arc<Actor>,
    pub(crate) redact: Option<Arc<Redact>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            authorize: Arc::new(|_, _| Access::Read),
            actor: Arc::new(|_| String::new()),
            redact: None,
        }
    }
}

/// A visitor, for one request.
#[derive(Clone)]
pub(crate) struct Visitor {
    parts: Arc<Parts>,
    authorize: Arc<Authorize>,
    /// The most that this dashboard allows to anyone.
    most: Access,
    /// The name of the visitor; empty when it is not known.
    pub(crate) actor: String,
}

impl Visitor {
    pub(crate) fn new(parts: Parts, hooks: &Hooks, most: Access) -> Self {
        let (authorize, actor) = (Arc::clone(&hooks.authorize), (hooks.actor)(&parts));
        Self { parts: Arc::new(parts), authorize, most, actor }
    }

    /// Returns the rights on the dashboard as a whole.
    pub(crate) fn access(&self) -> Access {
        (self.authorize)(&self.parts, None).min(self.most)
    }

    /// Returns the rights on a queue: never more than on the dashboard as a whole.
    pub(crate) fn access_to(&self, queue: &str) -> Access {
        (self.authorize)(&self.parts, Some(queue)).min(self.access())
    }

    /// Returns true when the visitor sees a queue.
    pub(crate) fn sees(&self, queue: &str) -> bool {
        self.access_to(queue) >= Access::Read
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor").field("most", &self.most).finish_non_exhaustive()
    }
}
