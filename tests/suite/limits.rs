//! Limited queues: what may run at a time, and whose turn it is.

mod check;
mod groups;
mod machine;
mod mutants;
mod nodes;
mod operated;
mod proxy;
mod rate_nodes;
