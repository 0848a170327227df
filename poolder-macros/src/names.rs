//! Names: the rules for kinds, queues, batchers and schedulers, and the default kind of a type.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{Error, Ident, Path};

use crate::attributes::{Attribute, text};

/// The rule for a sort of name: its designation and an example for errors, its maximum length, and
/// the characters allowed besides ASCII letters and digits. `poolder-core` checks the same at run
/// time; a test compares both.
pub(crate) struct Rule {
    what: &'static str,
    example: &'static str,
    max: usize,
    extra: &'static [char],
}

/// The rule for the kind of a job.
pub(crate) const KIND: Rule =
    Rule { what: "kind", example: "email.welcome", max: 128, extra: &['_', '-', '.', ':', '/'] };

/// The rule for the name of a queue.
pub(crate) const QUEUE: Rule =
    Rule { what: "queue name", example: "mail", max: 64, extra: &['_', '-', '.'] };

/// The rule for the name of a batcher.
pub(crate) const BATCHER: Rule =
    Rule { what: "batcher name", example: "rows", max: 64, extra: &['_', '-', '.'] };

/// The rule for the name of a scheduler. The name is the kind of its jobs, and their queue unless
/// another is set.
pub(crate) const SCHEDULER: Rule =
    Rule { what: "scheduler name", example: "myjobs", max: 64, extra: &['_', '-', '.'] };

impl Rule {
    /// Checks a name; `span` is its position for the error.
    pub(crate) fn check(&self, name: &str, span: Span) -> syn::Result<()> {
        let Self { what, max, extra, .. } = self;
        let why = if name.is_empty() {
            "it is empty".to_owned()
        } else if let Some(bad) = name.chars().find(|c| !self.allows(*c)) {
            format!("it has {bad:?}")
        } else if name.len() > *max {
            format!("it has {} characters", name.len())
        } else {
            return Ok(());
        };
        let shown: String = name.chars().take(80).collect();
        let extra: Vec<_> = extra.iter().map(|c| format!("`{c}`")).collect();
        let (last, others) = extra
            .split_last()
            .map_or((String::new(), String::new()), |split| (split.0.clone(), split.1.join(", ")));
        Err(Error::new(
            span,
            format!(
                "{what} {shown:?} is not allowed, {why}: \
                 use 1 to {max} ASCII letters, digits, {others} or {last}"
            ),
        ))
    }

    /// Reads a name from an attribute.
    pub(crate) fn read(&self, attribute: &Attribute) -> syn::Result<String> {
        let Self { what, example, .. } = self;
        let expected = format!("`{}` takes a {what} such as {example:?}", attribute.name);
        let text = text(&attribute.value, expected)?;
        let name = text.value();
        self.check(&name, text.span()).map(|()| name)
    }

    fn allows(&self, c: char) -> bool {
        c.is_ascii_alphanumeric() || self.extra.contains(&c)
    }
}

/// Reads the path of the crate that the generated code uses.
pub(crate) fn read_crate(attribute: &Attribute) -> syn::Result<Path> {
    let expected = "`crate` takes the path of a crate such as \"::poolder\"";
    let text = text(&attribute.value, expected)?;
    text.parse_with(Path::parse_mod_style).map_err(|_| Error::new(text.span(), expected))
}

/// Returns the name of a type or variant in snake case: `SendSMS2Users` is `send_sms2_users`.
pub(crate) fn snake_case(ident: &Ident) -> String {
    let name: Vec<char> = ident.unraw().to_string().chars().collect();
    let mut snake = String::new();
    for (i, &c) in name.iter().enumerate() {
        // A capital starts a word, except within an acronym. The last capital of an acronym starts
        // a word when a small letter follows.
        let after_capital = i > 0 && name[i - 1].is_uppercase();
        let before_small = name.get(i + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && i > 0 && name[i - 1] != '_' && (!after_capital || before_small) {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::format_ident;

    #[test]
    fn words_are_found() {
        for (name, snake) in [
            ("Welcome", "welcome"),
            ("SendEmail", "send_email"),
            ("HTTPServer", "http_server"),
            ("SendSMS", "send_sms"),
            ("SendSMS2Users", "send_sms2_users"),
            ("A", "a"),
            ("AbC", "ab_c"),
            ("Already_Snake", "already_snake"),
            ("already_snake", "already_snake"),
            ("Ärger", "ärger"),
        ] {
            assert_eq!(snake_case(&format_ident!("{name}")), snake);
        }
        assert_eq!(snake_case(&Ident::new_raw("type", Span::call_site())), "type");
    }

    #[test]
    fn the_rules_are_those_of_the_core() {
        let mut names: Vec<String> =
            (0..=0x250).filter_map(char::from_u32).map(String::from).collect();
        names.extend([0, 1, 63, 64, 65, 127, 128, 129].map(|len| "x".repeat(len)));
        for name in names {
            let span = Span::call_site();
            let (kind, queue) = (KIND.check(&name, span), QUEUE.check(&name, span));
            assert_eq!(kind.is_ok(), poolder_core::check_kind(&name).is_ok(), "{name:?}");
            assert_eq!(queue.is_ok(), poolder_core::QueueName::new(&name).is_ok(), "{name:?}");
        }
    }
}
