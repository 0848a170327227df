//! What the leader of a partition does: moves due jobs to their lanes, removes old dead jobs, and
//! finds what dead nodes hold.

pub(super) mod promote;
pub(super) mod prune;
pub(super) mod rescue;
