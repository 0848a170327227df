//! Claims jobs of a limited queue.

use poolder_core::broker::ClaimConnection;

use super::claim_loop::ClaimLoop;
use super::connection::ConnectionState;

impl ClaimLoop {
    /// Settles, and claims jobs of a limited queue that may start, in one round trip.
    pub(super) async fn admit(&mut self, mut open: Box<ClaimConnection>, count: usize) {
        let batch = self.claimer.settlements.take();
        match open.admit(&batch, count, self.claimer.admissions.woken).await {
            Ok((exchange, admission)) => {
                self.claimer.apply_settled(batch, exchange.settled);
                match exchange.claimed {
                    Ok(claimed) => {
                        let (asked, got) = (exchange.asked, claimed.len());
                        self.claimer.admissions.claimed(admission, asked, got);
                        self.connection.audit_soon(&claimed);
                        self.connection.looked(!claimed.is_empty());
                        self.claimer.take_claims(claimed, &self.name, open.history().as_ref());
                        self.connection.state = ConnectionState::Open(open);
                    }
                    // Only the claim failed, as in `exchange`.
                    Err(error) => self.claimer.back_off(&error),
                }
            }
            Err(error) => {
                self.claimer.settlements.put_back(batch);
                self.claimer.back_off(&error);
            }
        }
    }
}
