//! The lists of `docs/access.md`: a command that each sentence allows, and one that it refuses.
//! Commands are as a user types them, in the namespace `poolder`.

mod older;
mod others;
mod producers;

/// A sentence: the user, the text, the commands that are allowed and those that are refused.
pub(super) type Sentence =
    (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// Returns the sentences about all users.
pub(super) fn sentences() -> impl Iterator<Item = &'static Sentence> {
    [producers::SENTENCES, others::SENTENCES, older::SENTENCES].into_iter().flatten()
}
