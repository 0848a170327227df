//! The first jobs of a listing of one partition.

use poolder_core::view::{JobView, Listing};
use poolder_core::{Error, Lane, Partition};

use crate::client::Client;

impl Client {
    /// Returns up to `most` of the first jobs of a partition, of a lane if one is given.
    pub(super) async fn first_jobs(
        &self,
        partition: &Partition,
        listing: (Listing, Option<Lane>),
        most: usize,
    ) -> Result<Vec<JobView>, Error> {
        let partitions = std::slice::from_ref(partition);
        Ok(self.broker().page(partitions, listing, None, most).await?.jobs)
    }
}
