//! Addressed slots: their leases, the order of keys, resizes with late jobs that move, and one
//! failover. The model follows `poolder-core/src/broker/scripts/addressed` and
//! `poolder-worker/src/sources/addressed`: each script is one step, and so is each decision of a
//! slot's holder between two of them.
//!
//! | file | content |
//! |---|---|
//! | [`slot`] | a slot in Redis: lanes, lease, due and dead jobs |
//! | [`pool`] | the registered pool, its resizes and the reports of its slots |
//! | [`scripts`] | the server, and the effect of the other scripts on it |
//! | [`service`] | the service of a slot by a node, and its next step |
//! | [`world`] | the state of everything, and the scenarios' parameters |
//! | [`actions`] | the steps that are possible in a state |
//! | [`step`], [`service_step`] | the effect of each step |
//! | [`properties`] | the properties |
//! | [`guards`] | the guards, which can be switched off to show that each is needed |
//! | [`scenarios`] | the checked combinations of faults |
//! | [`few`] | short lists that are cheap to copy |
//!
//! All jobs have a key, in a pool of mode `phash`. Two keys suffice: one that moves with the size,
//! and one that does not. Node 0 is the one that fails, and the other one goes on.
//!
//! Assumptions, beside those of the crate: a node that shall leave a slot, or shall take one,
//! notices that at any later time; a failover does not undo a resize, and none comes between the two
//! halves of a move (neither is promised); producers know of a resize by the time at which a slot
//! retires.

pub mod actions;
pub mod few;
pub mod guards;
pub mod pool;
pub mod properties;
pub mod scenarios;
pub mod scripts;
pub mod service;
pub mod service_step;
pub mod slot;
pub mod step;
pub mod world;
