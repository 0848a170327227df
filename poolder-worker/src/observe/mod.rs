//! The layer that shows a node to probes, scrapes and programs. It reads the notes of the node and
//! asks neither the server nor the runtime of the node, so that it
//! answers while both are stuck. Imports `process` only.
//!
//! | file | contents |
//! |---|---|
//! | `node_state` | the notes: the phase of the node, its name, its pools |
//! | `health` | whether the node is live and ready; pure |
//! | `status` | the node and its pools as a program reads them |
//! | `metrics` | the counts of the node in the text format of Prometheus; pure |
//! | `facade` | the same counts for the recorder of the `metrics` crate (feature `metrics`) |
//! | `routes` | the answers of the node's own listener |

#[cfg(feature = "metrics")]
pub(crate) mod facade;
pub(crate) mod health;
mod metrics;
pub(crate) mod node_state;
pub(crate) mod routes;
pub(crate) mod status;
