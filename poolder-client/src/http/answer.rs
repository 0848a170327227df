//! An answer to an HTTP request, and its bytes.

/// The content type of an answer that people read.
const PLAIN: &str = "text/plain; charset=utf-8";

/// An answer to an HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    pub(super) status: u16,
    content_type: &'static str,
    body: String,
}

impl HttpAnswer {
    /// Creates an answer with this status and a text for people, which gets a line break at its end.
    #[must_use]
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        let mut body = text.into();
        body.push('\n');
        Self { status, content_type: PLAIN, body }
    }

    /// Creates an answer with status 200 and a JSON document.
    #[must_use]
    pub fn json(body: String) -> Self {
        Self { status: 200, content_type: "application/json", body }
    }

    /// Creates an answer with status 200 and metrics in the text format of Prometheus.
    #[must_use]
    pub fn metrics(body: String) -> Self {
        Self { status: 200, content_type: "text/plain; version=0.0.4; charset=utf-8", body }
    }

    /// Creates the answer for a path that is not one of these.
    #[must_use]
    pub fn not_found(paths: &[&str]) -> Self {
        Self::text(404, format!("there is only {}", paths.join(", ")))
    }

    /// Returns the bytes of the answer; without the body for a `HEAD` request, which is told its
    /// length all the same.
    pub(super) fn bytes(&self, with_body: bool) -> Vec<u8> {
        let Self { status, content_type, body } = self;
        let allow = if *status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            reason(*status),
            body.len(),
        );
        let mut bytes = head.into_bytes();
        if with_body {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }
}

/// Returns the phrase of a status, which clients pass over.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_request_gets_the_length_of_the_body_without_the_body() {
        let answer = HttpAnswer::text(503, "draining");
        let whole = String::from_utf8(answer.bytes(true)).unwrap();
        let head = String::from_utf8(answer.bytes(false)).unwrap();
        assert!(whole.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{whole}");
        assert!(whole.contains("\r\nContent-Length: 9\r\n"), "{whole}");
        assert_eq!(whole, format!("{head}draining\n"));
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        let text = |status| String::from_utf8(HttpAnswer::text(status, "").bytes(true)).unwrap();
        assert!(text(405).contains("\r\nAllow: GET, HEAD\r\n"));
        assert!(!text(404).contains("Allow"));
    }
}
