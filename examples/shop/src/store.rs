//! The shop's own data. A real shop has a database and a bank; here both are in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poolder::BoxError;

/// Sales, parcels and visits. Cheap to clone: all clones are one store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    /// The orders that are paid, by their number, and the amount in cents.
    paid: Vec<(String, u64)>,
    shipped: Vec<String>,
    visits: usize,
    reports: Vec<u64>,
}

impl Store {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the money for an order, once: an order that is paid stays as it is.
    pub(crate) fn charge(&self, order: &str, cents: u64) -> Result<(), BoxError> {
        match cents {
            0 => return Err("402 nothing to charge".into()),
            1_000_000.. => return Err("503 the bank is closed".into()),
            _ => {}
        }
        let mut books = self.books();
        if books.paid.iter().all(|(paid, _)| paid != order) {
            books.paid.push((order.to_owned(), cents));
        }
        Ok(())
    }

    pub(crate) fn ship(&self, order: &str) {
        self.books().shipped.push(order.to_owned());
    }

    pub(crate) fn count(&self, visits: usize) {
        self.books().visits += visits;
    }

    /// Writes the report of a day: the sum of all sales.
    pub(crate) fn report(&self) {
        let mut books = self.books();
        let sum = books.paid.iter().map(|(_, cents)| cents).sum();
        books.reports.push(sum);
    }

    pub(crate) fn shipped(&self) -> Vec<String> {
        self.books().shipped.clone()
    }

    pub(crate) fn visits(&self) -> usize {
        self.books().visits
    }

    #[cfg(test)]
    pub(crate) fn reports(&self) -> Vec<u64> {
        self.books().reports.clone()
    }
}
