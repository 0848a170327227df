//! A question, and its page.

use askama::Template;

use super::inputs::Input;
use crate::page::frame::Frame;
use crate::page::theme::inner_path;
use crate::request::Context;
use crate::show::Table;

/// A question.
#[derive(Debug, Default)]
pub(in crate::page) struct Question {
    pub(in crate::page) title: &'static str,
    pub(in crate::page) question: String,
    /// The consequences, below the question.
    pub(in crate::page) about: String,
    /// The command that does the same; empty when there is none.
    pub(in crate::page) command: String,
    /// The reason why it is asked once more.
    pub(in crate::page) again: String,
    /// The path to which the answer is sent.
    pub(in crate::page) path: &'static str,
    pub(in crate::page) hidden: Vec<(String, String)>,
    pub(in crate::page) inputs: Vec<Input>,
    /// The word that must be typed; empty for none.
    pub(in crate::page) typed: String,
    /// The things that are changed, as a table with its title.
    pub(in crate::page) shown: Option<(String, Table)>,
    pub(in crate::page) action: &'static str,
    pub(in crate::page) button: &'static str,
    /// Another button: its action and its word.
    pub(in crate::page) second: Option<(&'static str, &'static str)>,
    pub(in crate::page) destroys: bool,
    pub(in crate::page) back: String,
}

/// The page with a question.
#[derive(Debug, Template)]
#[template(path = "confirm.html")]
pub(in crate::page) struct ConfirmPage {
    frame: Frame,
    asked: Question,
    post: String,
    back_link: String,
}

impl ConfirmPage {
    pub(in crate::page) async fn new(context: &Context, asked: Question) -> Self {
        let mut asked = asked;
        asked.back = inner_path(&asked.back).to_owned();
        Self {
            frame: Frame::new(context, asked.title, "", None).await,
            post: context.link(asked.path),
            back_link: context.link(&asked.back),
            asked,
        }
    }
}
