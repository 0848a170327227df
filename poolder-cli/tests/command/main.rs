//! Runs the real program against a real server: what it writes, where, and its exit codes.

mod audit;
mod batch;
mod dashboard;
mod documents;
mod dry_run;
mod failures;
mod group;
mod health;
mod job;
mod journal;
mod metrics;
mod node;
mod past;
mod pool;
mod program;
mod queue;
mod schedule;
mod select;
mod top;
mod transfer;
mod unique;
