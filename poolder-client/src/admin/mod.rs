//! Operator's view of a fleet: reads its state and changes it.

mod action;
mod attention;
mod audit;
mod batchers;
mod blast_radius;
mod bulk;
mod check;
mod doctor;
mod enqueue;
mod error_jobs;
mod error_mute;
mod explain;
mod exporter;
mod finding;
mod first_jobs;
mod fleet;
mod forecast;
mod history;
mod inspector;
mod journal;
mod key_holder;
mod kinds;
mod limits;
mod past;
mod pool_set;
mod saved_views;
mod search;
mod status;
mod sweep;
mod transfer;
pub mod words;

pub use action::Action;
pub use attention::{
    FailureRates, NewError, Observed, ObservedNode, ObservedQueue, ServedQueue, attention,
};
pub use batchers::BatcherView;
pub use blast_radius::{BlastRadius, Neighbour, NodeCrash};
pub use bulk::BulkChange;
pub use check::Check;
pub use doctor::{Diagnosis, QueueMemory};
pub use error_mute::MuteErrors;
pub use explain::{Explanation, Why};
pub use exporter::{NamespaceMetrics, QueueLoad};
pub use finding::{Finding, Repair, Severity};
pub use forecast::{Drain, Flow};
pub use inspector::Inspector;
pub use key_holder::{KeyHolder, KeyedJob};
pub use limits::{LargestGroups, LimitsHandle};
pub use pool_set::{PoolSet, SetCast};
pub use search::{Budget, Matches};
pub use status::{FleetStatus, QueueStatus};
pub use sweep::BulkReport;
pub use transfer::{Export, ExportSums, Import, ImportReport};
