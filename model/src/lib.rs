//! Poolder's claim, rescue and settle protocol as a state machine, checked exhaustively: two or
//! three nodes, two jobs, and what can happen to them. It is written after the scripts and the
//! claimer, not generated from them; the fate of a crashed job is decided by the real
//! [`decide`](poolder_core::policy::decide::decide). When the protocol changes, change it here first.
//!
//! | file | what |
//! |---|---|
//! | [`server`] | streams, group, roster: what each script does |
//! | [`node`] | what a heartbeat, a claimer and a rescuer know |
//! | [`world`] | which steps are possible |
//! | [`step`] | what each does, and the properties |
//! | [`guards`] | what can be switched off, to see that it is needed |
//! | [`scenarios`] | what is checked |
//! | [`search`] | the checker |
//!
//! What the model assumes: the server applies a script as a whole or not at all; a replica has a
//! prefix of the history; beats have one period everywhere; and a suspect that cannot start goes
//! back at once (in truth a round trip later).

pub mod guards;
pub mod node;
pub mod scenarios;
pub mod search;
pub mod server;
pub mod step;
pub mod world;
