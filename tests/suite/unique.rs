//! Unique jobs: see `docs/unique.md`.

mod ends;
mod groups;
mod jobs;
mod keys;
mod last;
mod losses;
mod machine;
mod reference;
