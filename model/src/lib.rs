//! Poolder's claim, rescue and settle protocol as a state machine, checked exhaustively: two or
//! three nodes, two jobs, and the faults that can hit them. The model is written by hand after the
//! scripts and the claimer, not generated from them. The real
//! [`decide`](poolder_core::policy::decide::decide) decides the destination of a crashed job. When
//! the protocol changes, change the model first.
//!
//! | file | content |
//! |---|---|
//! | [`server`] | streams, group and roster, and the effect of each script on them |
//! | [`node`] | state of a heartbeat, a claimer and a rescuer |
//! | [`world`] | the steps that are possible in a state |
//! | [`step`] | the effect of each step, and the properties |
//! | [`guards`] | the guards, which can be switched off to show that each is needed |
//! | [`scenarios`] | the checked combinations of faults |
//! | [`search`] | the checker |
//! | [`addressed`] | a second model, of addressed slots |
//! | [`waiting`] | a third model, of wait permits |
//! | [`beats`] | a fourth model, of beats that stretch with the fleet |
//!
//! Assumptions of the model: the server applies a script as a whole or not at all; a replica has a
//! prefix of the history; beats have one period everywhere, other than in [`beats`]; and a node releases a suspect that
//! cannot start at once (in reality a round trip later).

pub mod addressed;
pub mod beats;
pub mod guards;
pub mod node;
pub mod scenarios;
pub mod search;
pub mod server;
pub mod step;
pub mod waiting;
pub mod world;
