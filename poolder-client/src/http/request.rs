//! Reads the head of an HTTP request. Pure: it is given the bytes that have arrived so far.

use super::answer::HttpAnswer;

/// The longest first line of a request, in bytes.
const MAX_LINE: usize = 1_024;
/// The longest head of a request, in bytes: the first line and the header fields.
pub(super) const MAX_HEAD: usize = 16 * 1_024;

/// A request for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestHead {
    /// The path, without the query.
    pub(super) path: String,
    /// False for a `HEAD` request.
    pub(super) wants_body: bool,
}

/// Reads the head of a request from the bytes that have arrived.
///
/// Returns `None` while more bytes are needed, which `MAX_HEAD` bytes never are. Header fields are
/// awaited, since a connection that is closed with unread bytes may lose the answer, and passed
/// over.
///
/// # Errors
/// Returns the answer to a request that is refused.
pub(super) fn read(bytes: &[u8]) -> Result<Option<RequestHead>, HttpAnswer> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let line = &bytes[..end.unwrap_or(bytes.len())];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > MAX_LINE {
        return Err(HttpAnswer::text(414, "the request line is too long"));
    }
    let malformed = || HttpAnswer::text(400, "this is no HTTP request");
    let is_printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    // The last byte of a line that is not complete may be its carriage return, which is stripped.
    if !line.iter().all(is_printable) {
        return Err(malformed());
    }
    let Some(end) = end else { return Ok(None) };
    let line = std::str::from_utf8(line).map_err(|_| malformed())?;
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, version] = words[..] else { return Err(malformed()) };
    if !version.starts_with("HTTP/1.") {
        let status = if version.starts_with("HTTP/") { 505 } else { 400 };
        return Err(HttpAnswer::text(status, "use HTTP/1.1"));
    }
    let wants_body = match method {
        "GET" => true,
        "HEAD" => false,
        _ => return Err(HttpAnswer::text(405, "use GET or HEAD")),
    };
    let path = path_of(target).ok_or_else(malformed)?.to_owned();
    if !is_complete(&bytes[end..]) {
        let too_large = bytes.len() >= MAX_HEAD;
        let refused = || HttpAnswer::text(431, "the header fields are too large");
        return if too_large { Err(refused()) } else { Ok(None) };
    }
    Ok(Some(RequestHead { path, wants_body }))
}

/// Returns the path of a target, which may be a whole URL, as proxies send it.
fn path_of(target: &str) -> Option<&str> {
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let path = path.split(['?', '#']).next()?;
    path.starts_with('/').then_some(path)
}

/// Returns true when the bytes, which begin with the end of the first line, have an empty line.
fn is_complete(bytes: &[u8]) -> bool {
    let found = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    found(b"\n\r\n") || found(b"\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> (String, bool) {
        let head = read(text.as_bytes()).unwrap().expect("a whole request");
        (head.path, head.wants_body)
    }

    fn status(bytes: &[u8]) -> u16 {
        read(bytes).unwrap_err().status
    }

    #[test]
    fn requests_of_usual_clients_are_read() {
        assert_eq!(path("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), ("/livez".into(), true));
        assert_eq!(path("HEAD /readyz?verbose=1 HTTP/1.0\n\n"), ("/readyz".into(), false));
        assert_eq!(path("GET http://host:9636/metrics HTTP/1.1\r\n\r\n").0, "/metrics");
        assert_eq!(path("GET http://host HTTP/1.1\r\n\r\n").0, "/");
    }

    #[test]
    fn every_beginning_of_a_request_waits_for_more() {
        let whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn other_requests_are_refused_with_their_status() {
        for (bytes, expected) in [
            (&b"POST /livez HTTP/1.1\r\n\r\n"[..], 405),
            (b"get /livez HTTP/1.1\r\n\r\n", 405),
            (b"GET /livez HTTP/2\r\n\r\n", 505),
            (b"GET /livez\r\n", 400),
            (b"GET livez HTTP/1.1\r\n\r\n", 400),
            (b"GET  /livez HTTP/1.1\r\n\r\n", 400),
            (b"OPTIONS * HTTP/1.1\r\n\r\n", 405),
            (b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", 400),
            (b"\r\n\r\n", 400),
            // The beginning of an encrypted connection, refused without waiting for a line break.
            (b"\x16\x03\x01\x02\x00\x01", 400),
            (b"\0\0\0\0", 400),
        ] {
            assert_eq!(status(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_long_line_or_head_is_refused_as_soon_as_it_is_too_long() {
        let long = vec![b'a'; MAX_LINE];
        assert_eq!(read(&long), Ok(None));
        assert_eq!(status(&[long, vec![b'a']].concat()), 414);
        let fields = |length: usize| {
            let mut head = b"GET / HTTP/1.1\r\nA: ".to_vec();
            head.resize(length, b'a');
            head
        };
        assert_eq!(read(&fields(MAX_HEAD - 1)), Ok(None));
        assert_eq!(status(&fields(MAX_HEAD)), 431);
    }
}
