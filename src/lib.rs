//! Poolder.
