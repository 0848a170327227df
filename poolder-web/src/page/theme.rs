//! The choice between dark and light, kept in a cookie.

use axum::Form;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::request::Context;

/// The form of the choice.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    theme: String,
    #[serde(default)]
    back: String,
}

/// Remembers the theme, and leads back to the page.
pub(crate) async fn theme(context: Context, Form(choice): Form<Choice>) -> Response {
    let theme = match choice.theme.as_str() {
        "dark" => "dark",
        "light" => "light",
        _ => "system",
    };
    let path = if context.base.is_empty() { "/" } else { &context.base };
    let cookie = format!("poolder-theme={theme}; Path={path}; Max-Age=31536000; SameSite=Lax");
    let back = context.link(inner_path(&choice.back));
    (StatusCode::SEE_OTHER, [(header::LOCATION, back), (header::SET_COOKIE, cookie)])
        .into_response()
}

/// Returns a path within the dashboard; the overview for anything else, such as another site.
pub(crate) fn inner_path(path: &str) -> &str {
    let is_inner = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_inner { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_never_leads_to_another_site() {
        assert_eq!(inner_path("/queues/mail?state=dead"), "/queues/mail?state=dead");
        for odd in
            ["", "//evil", "https://evil", "/\\evil", "\\\\evil", "/a\r\nSet-Cookie: x", "evil"]
        {
            assert_eq!(inner_path(odd), "/", "{odd:?}");
        }
    }
}
