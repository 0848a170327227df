//! The metrics of a namespace: what its queues, nodes, schedules and servers look like at the
//! moment, in the text format of Prometheus.
//!
//! | file | contents |
//! |---|---|
//! | `namespace_metrics` | the exporter: reads at most once a second, and keeps the last text |
//! | `reading` | reads everything once, in a bounded number of requests |
//! | `looks` | earlier looks at the queues, from which rates come; pure |
//! | `render` | writes a reading as text; pure |

mod looks;
mod namespace_metrics;
mod reading;
mod render;

pub use namespace_metrics::{NamespaceMetrics, QueueLoad};
