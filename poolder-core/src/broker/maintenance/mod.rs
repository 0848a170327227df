//! Duties of the leader of a partition: moving due jobs to their lanes, removing old dead jobs, and
//! finding the entries that dead nodes hold.

pub(super) mod promote;
pub(super) mod prune;
pub(super) mod rescue;
