//! The answers to requests that cannot be met.

use axum::http::StatusCode;
use poolder_core::Error;

/// The reason why there is no page.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self { status, title, text: text.into() }
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", text)
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Not understood", text)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            error if error.is_invalid() => Self::invalid(text),
            error if error.is_not_found() => Self::not_found(text),
            error if error.is_gone() => Self::new(StatusCode::CONFLICT, "It has moved on", text),
            error if error.is_auth() => Self::new(
                StatusCode::BAD_GATEWAY,
                "Redis does not allow it",
                format!("{text}. The rights that Poolder needs are listed in docs/access.md."),
            ),
            error if error.is_refused() || error.is_unknown() => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Redis does not answer", text)
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "It did not work", text),
        }
    }
}
