//! The layer of sources: the three ways in which a job reaches `run`. Imports `process`, `run` and
//! `services`.
//!
//! | module | which jobs it brings |
//! |---|---|
//! | `shared` | jobs of a queue for which all slots compete |
//! | `addressed` | jobs of one slot of the fleet, which is leased to one process at a time |
//! | `broadcast` | copies of jobs for every living slot |

pub(crate) mod addressed;
pub(crate) mod broadcast;
pub(crate) mod shared;
