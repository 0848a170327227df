//! The dashboard as an application makes it.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::request::Parts;
use poolder_client::Client;
use poolder_core::view::JobView;
use serde_json::Value;

use crate::access::{Access, Hooks};
use crate::http;
use crate::look::Looks;
use crate::request::Shared;
use crate::task::Tasks;

/// The dashboard of a namespace: a router to nest into an application, or [`serve`](crate::serve())
/// alone. It keeps no state but the last look at the server, so that any number of dashboards may
/// run side by side.
///
/// ```no_run
/// use axum::Router;
/// use poolder_client::Client;
/// use poolder_web::{Access, Dashboard};
///
/// # fn session_user(_: &axum::http::request::Parts) -> Option<String> { None }
/// # async fn f(client: Client) {
/// let dashboard = Dashboard::new(client)
///     .authorize(|request, _queue| match session_user(request).as_deref() {
///         Some("ann") => Access::Admin,
///         Some(_) => Access::Read,
///         None => Access::None,
///     })
///     .actor(|request| session_user(request).unwrap_or_default());
/// let app: Router = Router::new().nest("/jobs", dashboard.router());
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await.unwrap();
/// axum::serve(listener, app).await.unwrap();
/// # }
/// ```
#[derive(Clone)]
pub struct Dashboard {
    client: Client,
    hooks: Hooks,
    prefix: Option<String>,
    read_only: bool,
}

impl Dashboard {
    /// Creates the dashboard of the client's namespace. Until [`Dashboard::authorize`] says more,
    /// each visitor may read, and no visitor may change anything.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, hooks: Hooks::default(), prefix: None, read_only: false }
    }

    /// Sets the hook that decides the rights of a request: on the dashboard as a whole when no queue
    /// is given, and on each queue. A queue without rights is shown nowhere, and no queue has more
    /// rights than the dashboard as a whole. The hook is called several times a request, and once a
    /// second while a page is live; so it must be quick, and must not block.
    #[must_use]
    pub fn authorize(
        mut self,
        authorize: impl Fn(&Parts, Option<&str>) -> Access + Send + Sync + 'static,
    ) -> Self {
        self.hooks.authorize = Arc::new(authorize);
        self
    }

    /// Sets the hook that names the visitor of a request, for the page. Default: no name.
    #[must_use]
    pub fn actor(mut self, actor: impl Fn(&Parts) -> String + Send + Sync + 'static) -> Self {
        self.hooks.actor = Arc::new(actor);
        self
    }

    /// Sets the hook that leaves out what visitors may not see of a payload, before any part of it
    /// is shown. Payloads that cannot be read as JSON come as one string. Default: nothing is left
    /// out.
    ///
    /// ```no_run
    /// # use poolder_client::Client;
    /// # use poolder_web::Dashboard;
    /// # fn f(client: Client) -> Dashboard {
    /// Dashboard::new(client).redact(|_job, payload| {
    ///     if let Some(card) = payload.get_mut("card_number") {
    ///         *card = "(hidden)".into();
    ///     }
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn redact(mut self, redact: impl Fn(&JobView, &mut Value) + Send + Sync + 'static) -> Self {
        self.hooks.redact = Some(Arc::new(redact));
        self
    }

    /// Shows no payload at all.
    #[must_use]
    pub fn hide_payloads(self) -> Self {
        self.redact(|_, payload| *payload = Value::String("hidden on this dashboard".into()))
    }

    /// Allows no change to any visitor, whatever [`Dashboard::authorize`] says.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Sets the path under which visitors see the dashboard, such as `/ops/jobs`, for a reverse
    /// proxy that takes it off. A router that is nested in another one finds its path by itself.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        let inner = prefix.trim_matches('/');
        self.prefix = Some(if inner.is_empty() { String::new() } else { format!("/{inner}") });
        self
    }

    /// Returns the router, to nest into that of an application or to serve alone.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let most = if self.read_only { Access::Read } else { Access::Admin };
        let looks = Looks::new(self.client.clone());
        http::router(Shared {
            client: self.client,
            hooks: self.hooks,
            prefix: self.prefix,
            most,
            looks,
            tasks: Arc::new(Tasks::default()),
        })
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard").field("read_only", &self.read_only).finish_non_exhaustive()
    }
}
