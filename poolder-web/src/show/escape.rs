//! The escaper of all templates: no text of a job, a node or a visitor becomes markup, or hides
//! what it says.

use std::fmt::{self, Write};

/// Escapes HTML, and writes out characters that are not seen: control characters, marks that turn
/// the direction of a text, and marks without a width. A line feed and a tab stay.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Escaper;

impl askama::filters::Escaper for Escaper {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in text.char_indices() {
            let entity = match c {
                '<' => "&lt;",
                '>' => "&gt;",
                '&' => "&amp;",
                '"' => "&quot;",
                '\'' => "&#39;",
                c if is_unseen(c) => "",
                _ => continue,
            };
            dest.write_str(&text[plain..at])?;
            plain = at + c.len_utf8();
            match entity {
                "" => write!(dest, "\\u{{{:x}}}", u32::from(c))?,
                entity => dest.write_str(entity)?,
            }
        }
        dest.write_str(&text[plain..])
    }
}

/// Returns true for a character that changes the text around it without being seen.
fn is_unseen(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

/// Returns a text as it may stand in markup and in the value of an attribute.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    // Writing to a string does not fail.
    let _ = askama::filters::Escaper::write_escaped_str(&Escaper, &mut shown, text);
    shown
}

/// Returns a text of at most this many characters; a longer one is cut.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_unseen_characters_are_written_out() {
        assert_eq!(
            escaped("<script>alert('x' & \"y\")</script>"),
            "&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;"
        );
        assert_eq!(
            escaped("a\u{202e}b\u{200b}c\u{0}\u{1b}[2J"),
            r"a\u{202e}b\u{200b}c\u{0}\u{1b}[2J"
        );
        assert_eq!(escaped("grün\n\t≥ 5 عربي"), "grün\n\t≥ 5 عربي");
        assert_eq!(escaped(""), "");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(
            (cut("äöü", 3), cut("äöüß", 3), cut("", 0)),
            ("äöü".into(), "äö…".into(), "".into())
        );
    }
}
