//! The dashboard over a real server, through its router.

mod actions;
mod browser;
mod bulk;
mod guard;
mod hostile;
mod live;
mod many;
mod pages;
mod structures;
mod tables;
mod things;
mod trips;
mod vendor;
mod views;
mod world;
