//! The words of the project: a type name means one thing in a crate, and a sentence says what it
//! is about.

use std::collections::BTreeMap;
use std::path::Path;

use syn::{Item, Visibility};

use crate::{PUBLISHED, files, none, read, root, show, sources};

/// Subjects that leave the reader to guess what a sentence is about.
const RIDDLES: &[&str] = &["whoever", "somebody", "nobody", "anybody", "for ever"];

#[test]
fn a_type_name_is_defined_once_per_crate_unless_it_is_private_to_its_file() {
    let mut wrong = vec![];
    for folder in PUBLISHED {
        let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for file in sources(&root().join(folder)) {
            for name in visible_types(&file) {
                defined.entry(name).or_default().push(show(&file));
            }
        }
        for (name, places) in defined.into_iter().filter(|(_, places)| places.len() > 1) {
            wrong.push(format!("{name} is defined in {}: rename all but one", places.join(", ")));
        }
    }
    none(&wrong);
}

/// Returns the types of a file that other files can name.
fn visible_types(file: &Path) -> Vec<String> {
    let parsed = syn::parse_file(&read(file))
        .unwrap_or_else(|error| panic!("{} is not understood: {error}", show(file)));
    let visible = |visibility: &Visibility| !matches!(visibility, Visibility::Inherited);
    let name = |item: Item| match item {
        Item::Struct(item) if visible(&item.vis) => Some(item.ident),
        Item::Enum(item) if visible(&item.vis) => Some(item.ident),
        Item::Trait(item) if visible(&item.vis) => Some(item.ident),
        Item::Type(item) if visible(&item.vis) => Some(item.ident),
        Item::Union(item) if visible(&item.vis) => Some(item.ident),
        _ => None,
    };
    parsed.items.into_iter().filter_map(name).map(|ident| ident.to_string()).collect()
}

#[test]
fn comments_logs_and_errors_name_their_subject() {
    let mut wrong = vec![];
    for folder in PUBLISHED {
        for file in [sources(&root().join(folder)), files(&root().join(folder), "lua")].concat() {
            for (number, line) in (1..).zip(read(&file).lines()) {
                let Some(prose) = prose(&file, line) else { continue };
                let lower = prose.to_lowercase();
                let riddle = RIDDLES.iter().find(|riddle| has_word(&lower, riddle));
                if let Some(riddle) = riddle.or_else(|| guessed(prose)) {
                    wrong.push(format!(
                        "{}:{number} says {riddle:?}: name the node, the caller, the slot … that \
                         is meant",
                        show(&file)
                    ));
                }
            }
        }
    }
    none(&wrong);
}

/// Returns the part of a line that people read: a comment, or a text in quotes.
fn prose<'a>(file: &Path, line: &'a str) -> Option<&'a str> {
    let comment = if file.extension().is_some_and(|end| end == "lua") { "--" } else { "//" };
    let from = line.find(comment).or_else(|| line.find('"'));
    let continued = line.trim_end().ends_with('\\') || line.trim_end().ends_with("\",");
    from.map(|from| &line[from..]).or(continued.then_some(line))
}

/// Returns the word with which a sentence begins that leaves its subject open.
fn guessed(prose: &str) -> Option<&'static &'static str> {
    let text = prose.trim_start_matches(['/', '!', '-', '"', ' ']);
    let begins = |sentence: &str| {
        ["What ", "Who "]
            .iter()
            .find(|word| sentence.starts_with(**word) && !sentence.ends_with('?'))
    };
    let later = text.match_indices(". ").map(|(at, _)| &text[at + 2..]);
    begins(text).or_else(|| later.filter_map(begins).next())
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part)
    })
}

#[test]
fn words_are_found_as_words() {
    assert!(has_word("nobody waits", "nobody") && has_word("for nobody.", "nobody"));
    assert!(!has_word("nobody_waits", "nobody") && !has_word("antinobody", "nobody"));
    assert!(guessed("/// What a slot says.").is_some() && guessed("// A. Who knows").is_some());
    assert!(
        guessed("// What next?").is_none() && guessed("/// A slot says what it does.").is_none()
    );
}
