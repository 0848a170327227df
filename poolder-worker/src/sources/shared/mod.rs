//! Shared pools: the claimer of a partition claims jobs for the free slots of this process, and
//! settles the jobs that have ended. Imports the layers that `sources` may import, and no other
//! source.
//!
//! | file | what it does |
//! |---|---|
//! | `serve` | runs a shared pool: its services, its slots and their claimer |
//! | `claim_loop` | runs a claimer: claims, dispatches, settles, waits |
//! | `claimer` | holds the jobs of a claimer, and processes claims and results of settlements |
//! | `connection` | holds the connection of a claimer: closed, open, or waiting |
//! | `dispatch` | decides how many jobs to claim, and gives them to free slots |
//! | `lanes` | decides which lane to claim from |
//! | `apply_commands` | applies pause and cancel |

mod apply_commands;
mod claim_loop;
mod claimer;
mod connection;
mod dispatch;
mod lanes;
pub(crate) mod serve;
