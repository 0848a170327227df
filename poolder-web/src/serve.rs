//! The dashboard as a server of its own: where it may listen, and who may come in.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use poolder_core::Error;
use tokio::net::TcpListener;

use crate::access::Access;
use crate::dashboard::Dashboard;

/// The shortest token that is accepted.
const SHORTEST: usize = 16;

/// The rules of a dashboard that is a server of its own.
#[derive(Clone, Default)]
pub struct ServeOptions {
    token: Option<String>,
    read_token: Option<String>,
    hosts: Vec<String>,
    has_other_guard: bool,
}

impl fmt::Debug for ServeOptions {
    /// Leaves the tokens out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions")
            .field("has_token", &self.token.is_some())
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

impl ServeOptions {
    /// Lets those in who give this token as the password of any name, or as a bearer token. The name
    /// is shown as that of the visitor. At least 16 characters.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self }
    }

    /// Lets those read who give this token. At least 16 characters.
    #[must_use]
    pub fn read_token(self, token: impl Into<String>) -> Self {
        Self { read_token: Some(token.into()), ..self }
    }

    /// Adds a name under which visitors reach the dashboard, such as that of a reverse proxy. Without
    /// a token only requests for the names of this host are answered, so that no other site can lead
    /// a browser here by a name of its own.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Listens on any address without a token: something else decides who may come in.
    #[must_use]
    pub fn has_other_guard(self) -> Self {
        Self { has_other_guard: true, ..self }
    }

    /// Fails for an address on which the dashboard must not be served under these rules, as
    /// [`serve()`] does.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an address that other hosts can reach, without a token and without
    /// [`ServeOptions::has_other_guard`]; also for a token of fewer than 16 characters.
    pub fn check(&self, address: &SocketAddr) -> Result<(), Error> {
        let tokens = [&self.token, &self.read_token];
        if tokens.into_iter().flatten().any(|token| token.len() < SHORTEST) {
            return Err(Error::invalid(format!("a token has at least {SHORTEST} characters")));
        }
        let is_guarded = tokens.into_iter().any(Option::is_some) || self.has_other_guard;
        if !address.ip().is_loopback() && !is_guarded {
            return Err(Error::invalid(format!(
                "{address} can be reached from other hosts: set a token, listen on 127.0.0.1, or \
                 say that something else guards the dashboard"
            )));
        }
        Ok(())
    }

    /// Returns the rights and the name of the visitor; `None` for a stranger.
    fn admit(&self, headers: &HeaderMap) -> Option<(Access, String)> {
        if self.token.is_none() && self.read_token.is_none() {
            let is_known = self.has_other_guard || self.is_own_name(headers);
            return is_known.then(|| (Access::Admin, String::new()));
        }
        let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (name, token) = match given.split_once(' ')? {
            (scheme, token) if scheme.eq_ignore_ascii_case("bearer") => {
                (String::new(), token.trim().to_owned())
            }
            (scheme, text) if scheme.eq_ignore_ascii_case("basic") => {
                let text = String::from_utf8(decoded(text.trim())?).ok()?;
                let (name, token) = text.split_once(':')?;
                (name.to_owned(), token.to_owned())
            }
            _ => return None,
        };
        let is = |own: &Option<String>| own.as_ref().is_some_and(|own| equal(own, &token));
        let access = if is(&self.token) {
            Access::Admin
        } else if is(&self.read_token) {
            Access::Read
        } else {
            return None;
        };
        Some((access, name))
    }

    fn is_own_name(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
            return false;
        };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let own = ["localhost", "127.0.0.1", "[::1]"];
        own.iter()
            .copied()
            .chain(self.hosts.iter().map(String::as_str))
            .any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// The visitor as the guard has let it in.
#[derive(Debug, Clone)]
struct Admitted(Access, String);

/// Serves the dashboard on a listener until `stopped`. The rights of visitors are those of their
/// token, or all without one.
///
/// # Errors
/// [`Error::is_invalid`] for a listener that other hosts can reach, without a token and without
/// [`ServeOptions::has_other_guard`]; also for a token of fewer than 16 characters.
pub async fn serve(
    dashboard: Dashboard,
    listener: TcpListener,
    options: ServeOptions,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let lost = |error: std::io::Error| Error::refused(format!("the address is lost: {error}"));
    options.check(&listener.local_addr().map_err(lost)?)?;
    let served = axum::serve(listener, guarded(dashboard, options));
    tokio::select! {
        ended = async { served.await } => ended.map_err(lost),
        // Streams of open pages never end by themselves.
        () = stopped => Ok(()),
    }
}

/// Returns the router of a dashboard behind its guard.
fn guarded(dashboard: Dashboard, options: ServeOptions) -> Router {
    let access = |parts: &Parts, _: Option<&str>| {
        parts.extensions.get::<Admitted>().map_or(Access::None, |it| it.0)
    };
    let actor = |parts: &Parts| {
        parts.extensions.get::<Admitted>().map(|it| it.1.clone()).unwrap_or_default()
    };
    let router: Router = dashboard.authorize(access).actor(actor).router();
    router.layer(from_fn_with_state(Arc::new(options), admit))
}

async fn admit(
    State(options): State<Arc<ServeOptions>>,
    mut request: Request,
    next: Next,
) -> Response {
    match options.admit(request.headers()) {
        Some((access, name)) => {
            request.extensions_mut().insert(Admitted(access, name));
            next.run(request).await
        }
        None if options.token.is_none() && options.read_token.is_none() => {
            let text = "This dashboard answers under the names of its own host. Name others with \
                        --host.\n";
            (StatusCode::MISDIRECTED_REQUEST, text).into_response()
        }
        None => {
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"poolder\", charset=\"UTF-8\"")];
            (StatusCode::UNAUTHORIZED, ask, "The token of the dashboard is missing.\n")
                .into_response()
        }
    }
}

/// Compares two texts in a time that does not tell where they differ.
fn equal(own: &str, given: &str) -> bool {
    let (own, given) = (own.as_bytes(), given.as_bytes());
    let pairs = own.iter().zip(given.iter().chain(std::iter::repeat(&0)));
    let differs = pairs.fold(0, |differs, (own, given)| differs | (own ^ given));
    std::hint::black_box(differs) == 0 && own.len() == given.len()
}

/// Decodes base64.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (vec![], 0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const TOKEN: &str = "0123456789abcdef";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_loopback_is_served_without_a_guard() {
        let (local, all) = ("127.0.0.1:1".parse().unwrap(), "0.0.0.0:1".parse().unwrap());
        let none = ServeOptions::default();
        assert!(none.check(&local).is_ok() && none.check(&all).is_err_and(|it| it.is_invalid()));
        assert!(none.clone().token(TOKEN).check(&all).is_ok());
        assert!(none.clone().has_other_guard().check(&all).is_ok());
        assert!(none.token("short").check(&local).is_err());
        assert!(!format!("{:?}", ServeOptions::default().token(TOKEN)).contains(TOKEN));
    }

    #[test]
    fn a_token_lets_in_and_a_foreign_name_does_not() {
        let options = ServeOptions::default().token(TOKEN).read_token("fedcba9876543210");
        let access = |pairs| options.admit(&headers(pairs));
        // ann:0123456789abcdef
        let ann = access(&[("authorization", "Basic YW5uOjAxMjM0NTY3ODlhYmNkZWY=")]);
        assert_eq!(ann, Some((Access::Admin, "ann".into())));
        let bearer = access(&[("authorization", "Bearer fedcba9876543210")]);
        assert_eq!(bearer, Some((Access::Read, String::new())));
        for odd in ["", "Basic", "Basic !!!", "Bearer ", "Bearer 0123456789abcdeX", "Digest x"] {
            let mut map = HeaderMap::new();
            map.insert("authorization", HeaderValue::from_static(odd));
            assert_eq!(options.admit(&map), None, "{odd:?}");
        }
        let local = ServeOptions::default().host("ops.example.com");
        for host in ["localhost:8377", "127.0.0.1", "[::1]:8377", "OPS.example.com"] {
            assert!(local.is_own_name(&headers(&[("host", host)])), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8377", ""] {
            assert!(!local.is_own_name(&headers(&[("host", host)])), "{host}");
        }
        assert!(local.admit(&HeaderMap::new()).is_none());
    }
}
