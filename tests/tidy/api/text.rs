//! Writes tokens as rustfmt does, on one line.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::{Attribute, FnArg, Generics, Meta, Pat, Signature, Token};

/// Returns the text of tokens of a signature or a type.
pub(super) fn text(tokens: impl quote::ToTokens) -> String {
    let mut writer = Writer { out: String::new(), before: Before::Start };
    writer.write(tokens.into_token_stream());
    writer.out
}

/// The token before the next one, as far as it decides whether a space follows.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Start,
    Word,
    /// A token with which the next one is written together: `&`, `<`, `::`.
    Tight,
    /// The end of a group or of generics.
    Closed,
    /// A token after which a space follows: `,`, `=`, `->`.
    Loose,
}

struct Writer {
    out: String,
    before: Before,
}

impl Writer {
    fn write(&mut self, tokens: TokenStream) {
        let mut joint = String::new();
        for tree in tokens {
            match tree {
                TokenTree::Punct(punct) => {
                    joint.push(punct.as_char());
                    if punct.spacing() == Spacing::Alone {
                        self.punctuation(&std::mem::take(&mut joint));
                    }
                    continue;
                }
                TokenTree::Ident(ident) if joint == "'" => {
                    self.open();
                    self.out.push_str(&format!("'{ident}"));
                    self.before = Before::Word;
                }
                TokenTree::Ident(ident) => {
                    self.open();
                    self.out.push_str(&ident.to_string());
                    self.before = Before::Word;
                }
                TokenTree::Literal(literal) => {
                    self.open();
                    self.out.push_str(&literal.to_string());
                    self.before = Before::Word;
                }
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::Brace => ("{ ", " }"),
                        Delimiter::None => ("", ""),
                    };
                    let apart = open != "(" && self.before == Before::Word;
                    if apart || self.before == Before::Loose {
                        self.out.push(' ');
                    }
                    self.out.push_str(open);
                    self.before = Before::Tight;
                    self.write(group.stream());
                    if self.out.ends_with(',') {
                        self.out.pop();
                    }
                    self.out.push_str(close);
                    self.before = Before::Closed;
                }
            }
            joint.clear();
        }
    }

    /// Begins a word: after a word, a group or a loose token comes a space.
    fn open(&mut self) {
        if matches!(self.before, Before::Word | Before::Closed | Before::Loose) {
            self.out.push(' ');
        }
    }

    fn punctuation(&mut self, punct: &str) {
        // `>` may stand together with the tokens behind it: `>>`, `>,`, `>::`.
        let closing = punct.chars().take_while(|c| *c == '>').count();
        let (closed, punct) = punct.split_at(closing);
        if !closed.is_empty() {
            if self.out.ends_with(',') {
                self.out.pop();
            }
            self.out.push_str(closed);
            self.before = Before::Closed;
        }
        match punct {
            "" => {}
            "," | ":" | ";" => {
                self.out.push_str(punct);
                self.before = Before::Loose;
            }
            "<" | "::" | "::<" | "." | ".." => {
                if self.before == Before::Loose {
                    self.out.push(' ');
                }
                self.out.push_str(punct);
                self.before = Before::Tight;
            }
            "->" | "=" | "+" | "=>" => {
                self.out.push_str(&format!(" {punct}"));
                self.before = Before::Loose;
            }
            _ => {
                self.open();
                self.out.push_str(punct);
                self.before = Before::Tight;
            }
        }
    }
}

/// Returns the text of a function's signature under this name, without what callers do not see:
/// `mut`, and the patterns of arguments.
pub(super) fn signature(name: &str, signature: &Signature) -> String {
    let mut signature = signature.clone();
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) if receiver.reference.is_none() => receiver.mutability = None,
            FnArg::Receiver(_) => {}
            FnArg::Typed(typed) => match &mut *typed.pat {
                Pat::Ident(ident) => ident.mutability = None,
                other => *other = syn::parse_quote!(_),
            },
        }
    }
    let asyncness = if signature.asyncness.is_some() { "async " } else { "" };
    let constness = if signature.constness.is_some() { "const " } else { "" };
    let (generics, inputs, output) = (&signature.generics, &signature.inputs, &signature.output);
    let rest = text(quote::quote!(#generics (#inputs) #output));
    format!("{constness}{asyncness}fn {name}{rest}{}", clause(generics))
}

/// Returns the parameters of a type or trait, with their bounds.
pub(super) fn generics(generics: &Generics) -> String {
    text(generics) + &clause(generics)
}

/// Returns the `where` clause, with a space before it.
pub(super) fn clause(generics: &Generics) -> String {
    let clause = generics.where_clause.as_ref().map(text).unwrap_or_default();
    let clause = clause.trim_end_matches(',');
    if clause.is_empty() { String::new() } else { format!(" {clause}") }
}

/// Returns the traits that `#[derive(…)]` implements.
pub(super) fn derived(attributes: &[Attribute]) -> BTreeSet<String> {
    let lists = attributes.iter().filter(|attribute| attribute.path().is_ident("derive"));
    let paths = lists.filter_map(|list| {
        list.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated).ok()
    });
    paths.flatten().filter_map(|path| path.segments.last().map(text)).collect()
}

/// Returns true for `#[doc(hidden)]`.
pub(super) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("doc") && list.tokens.to_string() == "hidden",
        _ => false,
    })
}

/// Returns the marks of an item that a user must know: features, `non_exhaustive`.
pub(super) fn marks(attributes: &[Attribute]) -> String {
    let known = |attribute: &&Attribute| {
        ["non_exhaustive", "cfg"].iter().any(|name| attribute.path().is_ident(name))
    };
    attributes
        .iter()
        .filter(known)
        .map(|attribute| format!("#[{}] ", text(&attribute.meta)))
        .collect()
}
