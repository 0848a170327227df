//! Unique jobs: see `docs/unique.md`.

mod jobs;
mod keys;
mod last;
mod machine;
mod reference;
