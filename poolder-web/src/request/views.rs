//! The views that a visitor has saved: names for addresses of lists, kept in a cookie of the browser,
//! so that they need no state of the dashboard.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

use super::said::{decoded, encoded};

const NAME: &str = "poolder-views";
/// The most views of a browser.
const MOST: usize = 8;
/// The most characters of a name, and the most bytes of an address.
const LONGEST_NAME: usize = 40;
const LONGEST_PATH: usize = 300;
/// The most bytes of the cookie: browsers drop one above 4,096.
const LONGEST: usize = 3_900;

/// A view: its name, and its address within the dashboard.
pub(crate) type SavedView = (String, String);

/// Returns the views that a request brings.
pub(crate) fn saved_views(headers: &HeaderMap) -> Vec<SavedView> {
    let cookies = headers.get_all(COOKIE);
    let mut cookies = cookies.iter().filter_map(|cookie| cookie.to_str().ok());
    let found = cookies.find_map(|cookies| {
        let mut each = cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='));
        each.find(|(name, _)| *name == NAME).map(|(_, value)| value)
    });
    let text = found.filter(|text| text.len() <= LONGEST).map(decoded).unwrap_or_default();
    let view = |line: &str| {
        let (name, path) = line.split_once('\t')?;
        is_legal(name, path).then(|| (name.to_owned(), path.to_owned()))
    };
    text.split('\n').filter_map(view).take(MOST).collect()
}

/// Returns true for a view that can be kept.
fn is_legal(name: &str, path: &str) -> bool {
    let is_name = !name.is_empty() && name.chars().count() <= LONGEST_NAME;
    let is_path =
        path.len() <= LONGEST_PATH && ["/jobs", "/queues/"].iter().any(|it| path.starts_with(it));
    is_name
        && is_path
        && !name.contains(char::is_control)
        && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns the views with one more, which replaces that of its name; `None` for one that cannot be
/// kept, or when there are as many as may be.
pub(crate) fn with_view(
    mut views: Vec<SavedView>,
    name: &str,
    path: &str,
) -> Option<Vec<SavedView>> {
    views.retain(|(of, _)| of != name);
    if !is_legal(name, path) || views.len() >= MOST {
        return None;
    }
    views.push((name.to_owned(), path.to_owned()));
    (views_cookie("", &views).len() <= LONGEST).then_some(views)
}

/// Returns the header that keeps the views.
pub(crate) fn views_cookie(base: &str, views: &[SavedView]) -> String {
    let lines: Vec<String> = views.iter().map(|(name, path)| format!("{name}\t{path}")).collect();
    let path = if base.is_empty() { "/" } else { base };
    let kept = if views.is_empty() { 0 } else { 31_536_000 };
    format!(
        "{NAME}={}; Path={path}; Max-Age={kept}; HttpOnly; SameSite=Strict",
        encoded(&lines.join("\n"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_survive_their_cookie_and_odd_ones_are_left_out() {
        let path = "/queues/mail?state=dead&where=kind%3Dmail.*";
        let views = with_view(vec![], "dead mail; ü", path).unwrap();
        let cookie = views_cookie("/ops", &views);
        assert!(cookie.starts_with("poolder-views=dead%20mail") && cookie.contains("Path=/ops;"));
        let brings = |cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, cookie.parse().unwrap());
            saved_views(&headers)
        };
        assert_eq!(brings(cookie.split(';').next().unwrap()), views);
        assert_eq!(with_view(views.clone(), "dead mail; ü", "/jobs").unwrap().len(), 1);
        for (name, path) in [
            ("", "/jobs"),
            ("a\nb", "/jobs"),
            ("a", "//evil"),
            ("a", "https://evil"),
            ("a", "/act"),
            ("a", "/jobs?\r\nSet-Cookie: x"),
            (&"a".repeat(41), "/jobs"),
        ] {
            assert_eq!(with_view(vec![], name, path), None, "{name:?} {path:?}");
        }
        let many =
            (0..MOST).fold(vec![], |all, at| with_view(all, &at.to_string(), "/jobs").unwrap());
        assert_eq!(with_view(many.clone(), "more", "/jobs"), None);
        let long = format!("/jobs?{}", "%".repeat(LONGEST_PATH - 6));
        let full = (0..3).try_fold(vec![], |all, at| {
            with_view(all, &format!("{at}{}", "ü".repeat(LONGEST_NAME - 1)), &long)
        });
        assert!(views_cookie("", &full.unwrap()).len() <= LONGEST);
        let full = (0..MOST).try_fold(vec![], |all, at| with_view(all, &at.to_string(), &long));
        assert_eq!(full, None, "a browser would drop the cookie");
        for odd in ["poolder-views=", "poolder-views=%", "poolder-views=a%09b", "x=y"] {
            assert_eq!(brings(odd), []);
        }
        assert!(views_cookie("", &[]).contains("Max-Age=0"));
    }
}
