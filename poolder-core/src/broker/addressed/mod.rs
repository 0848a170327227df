//! Addressed pools: their settings, the leases of their slots, and broadcasts.

pub(super) mod broadcast;
pub(super) mod registry;
pub(super) mod relocate;
pub(super) mod slot_facts;
pub(super) mod slot_lease;
pub(super) mod slot_view;
