//! Metrics in the text format of Prometheus. Pure; imports nothing else of this crate.
//!
//! | file | contents |
//! |---|---|
//! | `catalogue` | every metric: its name, type, labels and meaning |
//! | `text` | writes samples, with escaped labels |

pub mod catalogue;
mod text;

pub use catalogue::{Metric, MetricType};
pub use text::MetricsText;
