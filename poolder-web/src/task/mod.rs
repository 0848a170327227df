//! Changes of many jobs: each runs in this process in bounded steps, while visitors look at its
//! progress or elsewhere. The audit says how far each came, also when the process ends before.

mod plan;
mod progress;
mod registry;
mod running;

pub(crate) use plan::{Part, Plan};
pub(crate) use progress::End;
pub(crate) use registry::{About, Tasks};
pub(crate) use running::Task;
