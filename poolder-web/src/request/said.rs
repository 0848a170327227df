//! The sentence about a change that was made, which the next page shows: kept in a cookie, so that a
//! page that is loaded again does not make the change again.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

const NAME: &str = "poolder-said";
/// The longest sentence in bytes.
const MOST: usize = 600;

/// Returns the header that keeps a sentence for the next page.
pub(crate) fn said_cookie(base: &str, text: &str) -> String {
    let fits = |(at, c): &(usize, char)| at + c.len_utf8() <= MOST;
    let text: String = text.char_indices().take_while(fits).map(|(_, c)| c).collect();
    format!("{NAME}={}; Path={}; Max-Age=60; HttpOnly; SameSite=Strict", encoded(&text), path(base))
}

/// Returns the header that forgets the sentence.
pub(crate) fn unsaid_cookie(base: &str) -> String {
    format!("{NAME}=; Path={}; Max-Age=0; HttpOnly; SameSite=Strict", path(base))
}

fn path(base: &str) -> &str {
    if base.is_empty() { "/" } else { base }
}

/// Returns the sentence that a request brings; empty when there is none.
pub(crate) fn said(headers: &HeaderMap) -> String {
    let cookies = headers.get_all(COOKIE);
    let mut cookies = cookies.iter().filter_map(|cookie| cookie.to_str().ok());
    let found = cookies.find_map(|cookies| {
        let mut each = cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='));
        each.find(|(name, _)| *name == NAME).map(|(_, value)| value)
    });
    found.filter(|text| text.len() <= MOST * 3).map(decoded).unwrap_or_default()
}

/// Returns a text as the value of a query or a cookie.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// Returns the text of a value that [`encoded`] has written.
fn decoded(text: &str) -> String {
    let mut bytes = vec![];
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let digits = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match digits {
            Some(byte) => bytes.extend([byte].iter().chain(&part.as_bytes()[2..])),
            None => bytes.extend(part.bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_survives_its_cookie() {
        let text = "Paused \"mail\"; 50 % äöü\r\nSet-Cookie: x=y";
        let cookie = said_cookie("/jobs", text);
        assert!(cookie.starts_with("poolder-said=Paused%20") && !cookie.contains(['\r', '\n']));
        let mut headers = HeaderMap::new();
        let brought = format!("a=b; {}", cookie.split(';').next().unwrap());
        headers.insert(COOKIE, brought.parse().unwrap());
        assert_eq!(said(&headers), text);
        for odd in ["%", "%é", "%f", "%ff%fe", "", "a%2"] {
            let _ = decoded(odd);
        }
        assert_eq!(said(&HeaderMap::new()), "");
    }
}
