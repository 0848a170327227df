//! One request: the dashboard, its visitor, the path under which the visitor sees it, and the answers
//! to requests that cannot be met.

mod assets;
mod context;
mod fault;
mod fields;
mod moment;
mod said;

use std::sync::Arc;

use poolder_client::Client;

use crate::access::{Access, Hooks};
use crate::look::Looks;
use crate::task::Tasks;

pub(crate) use assets::Assets;
pub(crate) use context::{Base, Context};
pub(crate) use fault::Fault;
pub(crate) use fields::Fields;
pub(crate) use moment::moment;
pub(crate) use said::{encoded, said, said_cookie, unsaid_cookie};

/// The state of a dashboard.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) hooks: Hooks,
    pub(crate) prefix: Option<String>,
    pub(crate) most: Access,
    pub(crate) looks: Looks,
    pub(crate) tasks: Arc<Tasks>,
}

impl Shared {
    /// Returns what `read` returns. All that it reads at the same time, with the state that it is
    /// given, goes to the server together: so a page needs as many round trips as the longest of
    /// its reads.
    pub(crate) async fn together<T, F: Future<Output = T>>(
        &self,
        read: impl FnOnce(Arc<Self>) -> F,
    ) -> T {
        let with = |client: Client| {
            let looks = self.looks.with(client.clone());
            read(Arc::new(Self { client, looks, ..self.clone() }))
        };
        self.client.read_together(with).await
    }
}
