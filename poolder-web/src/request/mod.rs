//! One request: the dashboard, its visitor, the path under which the visitor sees it, and the answers
//! to requests that cannot be met.

mod assets;
mod context;
mod fault;
mod fields;
mod moment;
mod said;

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
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) hooks: Hooks,
    pub(crate) prefix: Option<String>,
    pub(crate) most: Access,
    pub(crate) looks: Looks,
    pub(crate) tasks: Tasks,
}
