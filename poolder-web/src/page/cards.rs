//! A page of tables, which most pages are: what is known of one thing, its charts, its tables, and its
//! changes; or tables alone.

use askama::Template;

use super::change::Buttons;
use super::frame::Frame;
use crate::show::{Chart, Table, icon};

/// A page of tables.
#[derive(Debug, Template)]
#[template(path = "cards.html")]
pub(super) struct CardsPage {
    pub(super) frame: Frame,
    /// The pages above this one, with their links.
    pub(super) crumbs: Vec<(String, String)>,
    pub(super) chip: Option<Chip>,
    pub(super) about: String,
    /// Links beside the buttons.
    pub(super) links: Vec<(String, String)>,
    pub(super) buttons: Buttons,
    pub(super) ask: Option<Ask>,
    pub(super) facts: Vec<(String, String)>,
    pub(super) charts: Vec<Chart>,
    pub(super) cards: Vec<Card>,
}

/// A table with its title.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) title: String,
    pub(super) about: String,
    /// The bar with the changes of several rows, as markup; empty for none.
    pub(super) bar: String,
    pub(super) table: Table,
}

/// The state of a thing.
#[derive(Debug)]
pub(super) struct Chip {
    pub(super) image: String,
    pub(super) word: String,
    pub(super) tone: &'static str,
}

/// A field that looks for one thing of the page.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) path: String,
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) hint: &'static str,
    pub(super) button: &'static str,
}

impl CardsPage {
    pub(super) fn new(frame: Frame, about: impl Into<String>, cards: Vec<Card>) -> Self {
        Self {
            frame,
            crumbs: vec![],
            chip: None,
            about: about.into(),
            links: vec![],
            buttons: Buttons::default(),
            ask: None,
            facts: vec![],
            charts: vec![],
            cards,
        }
    }
}

impl Card {
    pub(super) fn new(title: &str, about: impl Into<String>, table: Table) -> Self {
        Self { title: title.to_owned(), about: about.into(), bar: String::new(), table }
    }
}

impl Chip {
    pub(super) fn new(image: &str, word: impl Into<String>, tone: &'static str) -> Self {
        Self { image: icon(image), word: word.into(), tone }
    }
}
