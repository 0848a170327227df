//! A page of tables, which most pages are.

use askama::Template;

use super::frame::Frame;
use crate::show::Table;

/// A page of tables.
#[derive(Debug, Template)]
#[template(path = "cards.html")]
pub(super) struct CardsPage {
    pub(super) frame: Frame,
    pub(super) about: String,
    pub(super) cards: Vec<Card>,
}

/// A table with its title.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) title: String,
    pub(super) about: String,
    pub(super) table: Table,
}

impl Card {
    pub(super) fn new(title: &str, about: impl Into<String>, table: Table) -> Self {
        Self { title: title.to_owned(), about: about.into(), table }
    }
}
