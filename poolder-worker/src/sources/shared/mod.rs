//! Shared pools: the claimer of a partition takes jobs for the free slots of this process, and
//! settles the jobs that have ended. Imports what `sources` may import, and no other source.
//!
//! | file | what it does |
//! |---|---|
//! | `serve` | runs a shared pool: its services, its slots and their claimer |
//! | `claimer` | holds the state of a claimer and runs its loop |
//! | `claim_loop` | holds the connection of a claimer and takes its next step |
//! | `dispatch` | decides how many jobs to claim, and gives them to free slots |
//! | `lanes` | decides which lane to claim from |
//! | `apply_commands` | follows pause and cancel |

mod apply_commands;
mod claim_loop;
mod claimer;
mod dispatch;
mod lanes;
pub(crate) mod serve;
