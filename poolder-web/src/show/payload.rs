//! Payloads as coloured JSON, cut where they are too long to read.

use poolder_core::view::JobView;
use serde_json::Value;

use super::escape::{cut, escaped};
use super::number::bytes;

/// The longest part of a payload that a page shows, in characters.
const MOST: usize = 64 * 1_024;
/// The longest preview in a list, in characters.
const PREVIEW: usize = 200;

/// A payload as a page shows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// The payload as markup.
    pub(crate) markup: String,
    /// Its size and format.
    pub(crate) about: String,
    /// True when only the beginning is shown.
    pub(crate) is_cut: bool,
}

/// Returns the payload of a job, after the hook that leaves out what visitors may not see.
pub(crate) fn payload(job: &JobView, redact: impl Fn(&mut Value)) -> Shown {
    let about = match job.payload() {
        Some(raw) => format!("{}, {:?}", bytes(raw.payload.len() as u64), raw.format),
        None => format!("{}, not a job", bytes(job.raw().unwrap_or_default().len() as u64)),
    };
    let text = match job.payload_json() {
        Ok(mut value) => {
            redact(&mut value);
            serde_json::to_string_pretty(&value).unwrap_or_default()
        }
        Err(error) => {
            // Bytes that are no payload cannot be redacted field by field.
            let mut raw = Value::String(unreadable(job));
            redact(&mut raw);
            format!("{error}\n\n{}", raw.as_str().unwrap_or_default())
        }
    };
    let is_cut = text.chars().nth(MOST).is_some();
    let text = cut(&text, MOST);
    Shown { markup: coloured(&text), about, is_cut }
}

fn unreadable(job: &JobView) -> String {
    let bytes = job.payload().map_or(job.raw().unwrap_or_default(), |raw| raw.payload);
    let end = bytes.len().min(MOST);
    bytes[..end].escape_ascii().to_string()
}

/// Returns the beginning of the payload, in one line.
pub(crate) fn preview(value: &Value) -> String {
    cut(&cut(&value.to_string(), PREVIEW), PREVIEW)
}

/// Returns JSON with its keys, texts and other values in colours. Text that is no JSON stays as it
/// is.
fn coloured(text: &str) -> String {
    let mut markup = String::with_capacity(text.len() * 2);
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        markup += &line[..indent];
        let rest = &line[indent..];
        match key_end(rest) {
            Some(end) => {
                markup += &format!("<span class=\"k\">{}</span>:", escaped(&rest[..end]));
                markup += &value(&rest[end + 1..]);
            }
            None => markup += &value(rest),
        }
    }
    markup
}

/// Returns the end of the key with which a line begins.
fn key_end(line: &str) -> Option<usize> {
    let mut is_escaped = false;
    let text = line.strip_prefix('"')?;
    let end = text.char_indices().find(|(_, c)| {
        let ends = *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        ends
    });
    let end = end?.0 + 2;
    line[end..].starts_with(": ").then_some(end)
}

fn value(text: &str) -> String {
    let bare = text.trim_end_matches(['\n', ',']);
    let (class, shown) = match bare.trim_start().chars().next() {
        Some('"') => ("s", bare),
        Some('{' | '}' | '[' | ']') | None => return escaped(text),
        Some(_) => ("d", bare),
    };
    format!("<span class=\"{class}\">{}</span>{}", escaped(shown), &text[bare.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_is_coloured_and_nothing_of_it_is_markup() {
        let value = json!({ "a\": <b>": "</span><script>", "n": [1, null], "o": {} });
        let shown = coloured(&serde_json::to_string_pretty(&value).unwrap());
        assert!(
            shown.contains("<span class=\"k\">&quot;a\\&quot;: &lt;b&gt;&quot;</span>:"),
            "{shown}"
        );
        assert!(shown.contains("&lt;/span&gt;&lt;script&gt;"), "{shown}");
        assert!(shown.contains("<span class=\"d\">1</span>,"), "{shown}");
        assert!(!shown.contains("<script"), "{shown}");
        for odd in ["", "\"", "\"\\", "a: b", "\"k\": ", "[\n]", "\"\u{202e}\": 1"] {
            let shown = coloured(odd);
            assert_eq!(shown.matches("<span").count(), shown.matches("</span>").count(), "{odd:?}");
        }
    }
}
