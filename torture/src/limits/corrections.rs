//! Records when a leader corrects how many jobs of a group run. It has nothing to correct unless a permit
//! was lost, or counted twice: in a run entries are removed by Poolder alone.

use tracing_subscriber::layer::Context;

use crate::ledger::{Ledger, Record};

/// The tracing target under which a leader reports corrections.
pub(crate) const CORRECTED: &str = "poolder_worker::services::sorter";

/// Writes each correction into the ledger.
pub(crate) struct Corrections(pub(crate) Ledger);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Corrections {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut example = String::new();
        let mut write = |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            example.push_str(&format!("{field}: {value:?} "));
        };
        event.record(&mut write);
        let promise = "permits are given back by the step that ends a job".into();
        self.0.write(Record::Broken { promise, example });
    }
}
