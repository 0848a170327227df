//! The nodes of a fleet: who is alive, who leads, and which commands operators gave.

pub(super) mod commands;
pub(super) mod hints;
pub(super) mod leader;
pub(super) mod pool_set;
pub(super) mod roster;
