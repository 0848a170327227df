//! The rules of attention: pure functions that find in the state of a fleet all that needs a person.

mod observed;
mod rules;

pub(crate) use observed::MOST_DEAD;
pub use observed::{FailureRates, NewError, Observed, ObservedNode, ObservedQueue, ServedQueue};
pub use rules::attention;
