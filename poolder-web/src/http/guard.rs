//! The guard before all routes: the path of the dashboard, the rights of the visitor, requests of
//! other sites, and the headers of security.

use std::sync::Arc;

use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::{Access, Visitor};
use crate::request::{Base, Shared, said, unsaid_cookie};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                      data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri \
                      'none'; frame-ancestors 'none'";

const HEADERS: [(header::HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Lets a request through that its visitor may make, and adds the headers to its answer.
pub(super) async fn guard(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let base = Base(shared.prefix.clone().unwrap_or_else(|| nested(&request)));
    let base_path = base.0.clone();
    request.extensions_mut().insert(base);
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let (parts, body) = request.into_parts();
    let is_asset = parts.uri.path().starts_with("/assets/");
    let forgets =
        !changes && !said(&parts.headers).is_empty() && !parts.uri.path().starts_with("/live/");
    let visitor = Visitor::new(parts.clone(), &shared.hooks, shared.most);
    let mut request = Request::from_parts(parts, body);
    let mut answer = if changes && !is_of_this_site(request.headers()) {
        let text = "This change was asked for by another site, and was refused.\n";
        (StatusCode::FORBIDDEN, text).into_response()
    } else if !is_asset && visitor.access() < Access::Read {
        (StatusCode::FORBIDDEN, "You may not see this dashboard.\n").into_response()
    } else {
        request.extensions_mut().insert(visitor);
        if changes || is_asset || request.uri().path().starts_with("/live/") {
            next.run(request).await
        } else {
            let page = |shared: Arc<Shared>| {
                request.extensions_mut().insert(shared);
                next.run(request)
            };
            shared.together(page).await
        }
    };
    // The page has shown it.
    if forgets
        && answer
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|it| it.as_bytes().starts_with(b"text/html"))
        && let Ok(cookie) = unsaid_cookie(&base_path).parse()
    {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    for (name, value) in HEADERS {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

/// Returns the part of the path that the routers around this one have taken off.
fn nested(request: &Request) -> String {
    let original = request.extensions().get::<OriginalUri>().map(|uri| uri.0.path());
    let inner = request.uri().path();
    let outer = original.and_then(|original| original.strip_suffix(inner));
    // A router that is nested at /jobs has the path / for /jobs as well.
    let outer = outer.or(original.filter(|_| inner == "/")).unwrap_or_default();
    outer.trim_end_matches('/').to_owned()
}

/// Returns true when a page of this dashboard made the request, or the browser says that none of
/// another site did.
fn is_of_this_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    // Browsers leave it out where the connection is neither encrypted nor local.
    let origin = text("origin").and_then(|origin| origin.split_once("://"));
    match (origin, text("host")) {
        (Some((_, origin)), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_site_may_change_something() {
        let allowed = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            is_of_this_site(&headers)
        };
        assert!(allowed(&[("sec-fetch-site", "same-origin")]));
        for other in ["cross-site", "same-site", "none", ""] {
            assert!(!allowed(&[("sec-fetch-site", other), ("origin", "http://h"), ("host", "h")]));
        }
        assert!(allowed(&[("origin", "http://h:1"), ("host", "h:1")]));
        assert!(!allowed(&[("origin", "http://h:2"), ("host", "h:1")]));
        assert!(!allowed(&[("origin", "null"), ("host", "h:1")]) && !allowed(&[]));
    }
}
