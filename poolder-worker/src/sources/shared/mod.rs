//! Shared pools: the claimer of a partition claims jobs for the free slots of this process, and
//! settles the jobs that have ended. Imports the layers that `sources` may import, and no other
//! source.
//!
//! | file | what it does |
//! |---|---|
//! | `serve` | runs a shared pool: its services, its slots and their claimer |
//! | `claim_loop` | runs a claimer: connects, adopts, claims, settles |
//! | `idle` | waits for jobs, alone or with the other pools of the node, and visits |
//! | `claim_step` | decides what a claimer does next |
//! | `claimer` | gives claimed jobs to slots, collects settlements, applies pause and cancel |
//! | `connection` | holds the connection of a claimer: closed, open, waiting, or given up |
//! | `held` | holds the claimed jobs |
//! | `assign` | decides which waiting job goes to which free slot |
//! | `admitting` | claims jobs of a limited queue |
//! | `admissions` | knows whether a claim of a limited queue would find jobs |
//! | `lanes` | decides which lane to claim from |
//! | `wait_permit` | decides whether a claimer may block until a job comes, or rests |
//! | `waiting` | asks for wait permits and gives them up, and rests |
//! | `skipped` | claims more while claims bring only kinds that no worker here knows |

mod admissions;
mod admitting;
mod assign;
mod claim_loop;
mod claim_step;
mod claimer;
mod connection;
mod held;
mod idle;
mod lanes;
pub(crate) mod serve;
mod skipped;
mod wait_permit;
mod waiting;
mod waits;
