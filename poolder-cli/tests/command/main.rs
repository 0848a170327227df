//! Runs the real program against a real server: what it writes, where, and its exit codes.

mod batch;
mod failures;
mod pool;
mod program;
mod schedule;
