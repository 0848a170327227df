//! The state of the screen, and what each key does.

mod shown;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use poolder_core::view::{Cursor, Listing};

use super::act::{Action, question};
use super::view::{Overlay, Sample, Subject, Tab, Wanted, next_listing};
use crate::output::{Cell, Tone};

/// The rows that a page key moves by.
const PAGE: usize = 15;

/// The effect of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Quit,
    /// Other things are wanted, or the same ones at once.
    Look,
    Do(Vec<Action>),
}

/// The state of the screen.
#[derive(Debug)]
pub(super) struct App {
    namespace: String,
    tab: Tab,
    queue: Option<String>,
    listing: Listing,
    /// The cursors of the pages before this one.
    pages: Vec<Option<Cursor>>,
    after: Option<Cursor>,
    /// The row of which the pane shows more.
    opened: Option<Subject>,
    /// The row that is chosen, which keeps its place in a list that changes, and its index.
    chosen: Option<Subject>,
    index: usize,
    /// The rows that the next action changes, where it is not the chosen one.
    marked: Vec<Subject>,
    filter: String,
    is_filtering: bool,
    overlay: Option<Overlay>,
    asked: Option<(Vec<Action>, String)>,
    message: Option<Cell>,
    sample: Sample,
}

impl App {
    pub(super) fn new(namespace: String) -> Self {
        Self {
            namespace,
            tab: Tab::Overview,
            queue: None,
            listing: Listing::Ready,
            pages: vec![],
            after: None,
            opened: None,
            chosen: None,
            index: 0,
            marked: vec![],
            filter: String::new(),
            is_filtering: false,
            overlay: None,
            asked: None,
            message: None,
            sample: Sample::default(),
        }
    }

    /// Returns the things that the screen shows.
    pub(super) fn wanted(&self) -> Wanted {
        let (queue, after, open) = (self.queue.clone(), self.after.clone(), self.opened.clone());
        Wanted { tab: self.tab, queue, listing: self.listing, after, open }
    }

    /// Shows a look at the server. A look that failed leaves the one before on the screen.
    pub(super) fn show(&mut self, sample: Sample) {
        match &sample.error {
            Some(error) => {
                self.sample.error = Some(error.clone());
                self.sample.took = sample.took;
            }
            None => self.sample = sample,
        }
    }

    /// Shows the end of an action.
    pub(super) fn tell(&mut self, result: Result<String, String>) {
        self.message = Some(match result {
            Ok(text) => Cell::new(text).tone(Tone::Good),
            Err(why) => Cell::new(why).tone(Tone::Bad),
        });
    }

    /// Handles a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Effect {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Effect::Quit } else { Effect::Nothing };
        }
        // A terminal sends Esc and a key that follow each other fast as that key with Alt.
        if key.modifiers.contains(KeyModifiers::ALT) {
            let before = self.key(KeyCode::Esc.into());
            let after = self.key(KeyEvent::new(key.code, key.modifiers - KeyModifiers::ALT));
            return if after == Effect::Nothing { before } else { after };
        }
        if let Some(overlay) = self.overlay.take() {
            return self.key_of_overlay(overlay, key.code);
        }
        if self.is_filtering {
            return self.key_of_filter(key.code);
        }
        self.message = None;
        match key.code {
            KeyCode::Char('q') => Effect::Quit,
            KeyCode::Char('?') => {
                self.overlay = Some(Overlay::Help);
                Effect::Nothing
            }
            KeyCode::Char('/') => {
                self.is_filtering = true;
                Effect::Nothing
            }
            KeyCode::Char(digit @ '1'..='9') => {
                let index = digit as usize - '1' as usize;
                Tab::ALL.get(index).map_or(Effect::Nothing, |tab| self.go(*tab))
            }
            KeyCode::Right | KeyCode::Tab => self.go(self.tab.moved(1)),
            KeyCode::Left | KeyCode::BackTab => self.go(self.tab.moved(Tab::ALL.len() - 1)),
            KeyCode::Down | KeyCode::Char('j') => self.choose(self.index().saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => self.choose(self.index().saturating_sub(1)),
            KeyCode::PageDown | KeyCode::Char(' ') => {
                self.choose(self.index().saturating_add(PAGE))
            }
            KeyCode::PageUp => self.choose(self.index().saturating_sub(PAGE)),
            KeyCode::Home | KeyCode::Char('g') => self.choose(0),
            KeyCode::End | KeyCode::Char('G') => self.choose(usize::MAX),
            KeyCode::Char('l') => self.next_page(),
            KeyCode::Char('h') => self.page_before(),
            KeyCode::Enter => self.open(),
            KeyCode::Esc => self.back(),
            KeyCode::Char('x') => self.mark(),
            KeyCode::Char('A') => self.mark_all(),
            KeyCode::Char(letter) => self.act(letter),
            _ => Effect::Nothing,
        }
    }

    fn key_of_overlay(&mut self, overlay: Overlay, key: KeyCode) -> Effect {
        let Overlay::Question { text, mut answer } = overlay else { return Effect::Nothing };
        match key {
            KeyCode::Enter => {
                let asked = self.asked.take();
                return match asked.filter(|(_, expected)| *expected == answer) {
                    Some((actions, _)) => self.make(actions),
                    None => {
                        self.message = Some(Cell::new("nothing was changed").tone(Tone::Warning));
                        Effect::Nothing
                    }
                };
            }
            KeyCode::Esc => {
                self.asked = None;
                return Effect::Nothing;
            }
            KeyCode::Backspace => drop(answer.pop()),
            KeyCode::Char(c) => answer.push(c),
            _ => {}
        }
        self.overlay = Some(Overlay::Question { text, answer });
        Effect::Nothing
    }

    fn key_of_filter(&mut self, key: KeyCode) -> Effect {
        match key {
            KeyCode::Enter => self.is_filtering = false,
            KeyCode::Esc => {
                self.is_filtering = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) => self.filter.push(c),
            _ => {}
        }
        self.index = 0;
        self.chosen = None;
        Effect::Nothing
    }

    fn go(&mut self, tab: Tab) -> Effect {
        if self.tab == Tab::Overview {
            self.take_queue();
        }
        self.tab = tab;
        self.filter.clear();
        self.first_page()
    }

    /// Takes the chosen queue as the one that the other tabs show.
    fn take_queue(&mut self) {
        if let Some(Subject::Queue(queue)) = self.subject() {
            self.queue = Some(queue);
        }
    }

    fn first_page(&mut self) -> Effect {
        (self.index, self.chosen, self.opened, self.after) = (0, None, None, None);
        self.marked.clear();
        self.pages.clear();
        Effect::Look
    }

    fn next_page(&mut self) -> Effect {
        let next = self.rows().and_then(|rows| rows.next.clone());
        let Some(next) = next else { return Effect::Nothing };
        self.pages.push(self.after.replace(next));
        self.marked.clear();
        (self.index, self.chosen, self.opened) = (0, None, None);
        Effect::Look
    }

    fn page_before(&mut self) -> Effect {
        let Some(before) = self.pages.pop() else { return Effect::Nothing };
        self.after = before;
        self.marked.clear();
        (self.index, self.chosen, self.opened) = (0, None, None);
        Effect::Look
    }

    fn choose(&mut self, index: usize) -> Effect {
        let subjects = self.visible().1;
        self.index = index.min(subjects.len().saturating_sub(1));
        self.chosen = subjects.get(self.index).cloned().filter(|one| *one != Subject::Part);
        if self.opened.is_some() && self.chosen.is_some() {
            self.opened.clone_from(&self.chosen);
            return Effect::Look;
        }
        Effect::Nothing
    }

    /// Marks the chosen row, or no longer, and goes on to the next.
    fn mark(&mut self) -> Effect {
        let Some(subject) = self.subject().filter(|one| *one != Subject::Part) else {
            return Effect::Nothing;
        };
        match self.marked.iter().position(|one| *one == subject) {
            Some(place) => drop(self.marked.remove(place)),
            None => self.marked.push(subject),
        }
        self.choose(self.index().saturating_add(1))
    }

    /// Marks all rows that are shown, or none when all are marked.
    fn mark_all(&mut self) -> Effect {
        let mut shown = self.visible().1;
        shown.retain(|one| *one != Subject::Part);
        self.marked = if self.marked().len() == shown.len() { vec![] } else { shown };
        Effect::Nothing
    }

    fn open(&mut self) -> Effect {
        match self.tab {
            Tab::Overview => self.go(Tab::Queue),
            Tab::Queue => self.go(Tab::Jobs),
            Tab::Jobs | Tab::Errors | Tab::Schedules => {
                self.opened = match self.opened.take() {
                    None => self.subject(),
                    Some(_) => None,
                };
                self.choose(self.index());
                Effect::Look
            }
            Tab::Nodes => Effect::Nothing,
        }
    }

    fn back(&mut self) -> Effect {
        if !self.filter.is_empty() {
            self.filter.clear();
            return Effect::Nothing;
        }
        if !self.marked.is_empty() {
            self.marked.clear();
            return Effect::Nothing;
        }
        match self.tab {
            _ if self.opened.is_some() => {
                self.opened = None;
                Effect::Look
            }
            Tab::Jobs => self.go(Tab::Queue),
            Tab::Overview => Effect::Nothing,
            _ => self.go(Tab::Overview),
        }
    }

    /// Handles the letters that act on the marked rows, or on the chosen one.
    fn act(&mut self, letter: char) -> Effect {
        let subject = match self.tab {
            Tab::Queue => self.shown_queue().map(Subject::Queue),
            _ => self.subject(),
        };
        if letter == 's' && self.tab == Tab::Jobs {
            self.listing = next_listing(self.listing);
            return self.first_page();
        }
        let marked = self.marked();
        let subjects = if marked.is_empty() { Vec::from_iter(subject) } else { marked };
        let action = |subject| Action::of(letter, subject);
        let actions: Vec<Action> = subjects.into_iter().filter_map(action).collect();
        match question(&actions) {
            None if actions.is_empty() => Effect::Nothing,
            None => self.make(actions),
            Some((text, expected)) => {
                self.asked = Some((actions, expected));
                self.overlay = Some(Overlay::Question { text, answer: String::new() });
                Effect::Nothing
            }
        }
    }

    fn make(&mut self, actions: Vec<Action>) -> Effect {
        self.marked.clear();
        Effect::Do(actions)
    }
}

#[cfg(test)]
mod tests;
