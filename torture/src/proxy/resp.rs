//! The part of the Redis protocol that a proxy needs: the ends of commands and replies.

/// The largest depth of nested replies. Poolder's replies nest less; data nested deeper is passed
/// on unread.
const DEPTH: usize = 16;

/// A command at the beginning of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// Its length in bytes.
    pub(crate) len: usize,
    /// Its name, in capitals.
    pub(crate) name: String,
    /// Its first two arguments.
    pub(crate) arguments: Vec<Vec<u8>>,
}

/// The result of parsing the beginning of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<T> {
    Whole(T),
    /// More bytes are needed.
    Part,
    /// The bytes are not of the expected form.
    Foreign,
}

/// Parses a command in the form that clients send: an array of strings.
pub(crate) fn command(buffer: &[u8]) -> Parsed<Command> {
    let Some((head, mut at)) = line(buffer, 0) else { return Parsed::Part };
    let Some(count) = number(head, b'*') else { return Parsed::Foreign };
    let mut words = vec![];
    for _ in 0..count {
        let Some((head, after)) = line(buffer, at) else { return Parsed::Part };
        let Some(len) = number(head, b'$') else { return Parsed::Foreign };
        let Some(word) = buffer.get(after..after + len) else { return Parsed::Part };
        if words.len() < 3 {
            words.push(word.to_vec());
        }
        at = after + len + 2;
    }
    if at > buffer.len() {
        return Parsed::Part;
    }
    let mut words = words.into_iter();
    let name = String::from_utf8_lossy(&words.next().unwrap_or_default()).to_uppercase();
    Parsed::Whole(Command { len: at, name, arguments: words.collect() })
}

/// Returns the length of the reply at the beginning of a buffer, and whether it is a push message,
/// which is no reply to a command.
pub(crate) fn reply(buffer: &[u8]) -> Parsed<(usize, bool)> {
    let pushed = buffer.first() == Some(&b'>');
    match end(buffer, 0, 0) {
        Parsed::Whole(end) => Parsed::Whole((end, pushed)),
        Parsed::Part => Parsed::Part,
        Parsed::Foreign => Parsed::Foreign,
    }
}

fn end(buffer: &[u8], at: usize, depth: usize) -> Parsed<usize> {
    let Some((head, after)) = line(buffer, at) else { return Parsed::Part };
    let Some((kind, rest)) = head.split_first() else { return Parsed::Foreign };
    let count = std::str::from_utf8(rest).ok().and_then(|text| text.parse::<i64>().ok());
    let items = match kind {
        b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => return Parsed::Whole(after),
        b'$' | b'!' | b'=' => {
            let Some(count) = count else { return Parsed::Foreign };
            let end = match usize::try_from(count) {
                Ok(len) => after + len + 2,
                Err(_) => after,
            };
            return if end <= buffer.len() { Parsed::Whole(end) } else { Parsed::Part };
        }
        b'*' | b'~' | b'>' => count.map(|count| count.max(0)),
        b'%' => count.map(|count| count.max(0) * 2),
        // Attributes precede the reply that they describe.
        b'|' => count.map(|count| count.max(0) * 2 + 1),
        _ => return Parsed::Foreign,
    };
    let Some(items) = items.filter(|_| depth < DEPTH) else { return Parsed::Foreign };
    let mut at = after;
    for _ in 0..items {
        match end(buffer, at, depth + 1) {
            Parsed::Whole(next) => at = next,
            other => return other,
        }
    }
    Parsed::Whole(at)
}

/// Returns the line that begins at `at`, and where the next one begins.
fn line(buffer: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = buffer.get(at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&rest[..end], at + end + 2))
}

fn number(head: &[u8], kind: u8) -> Option<usize> {
    let (first, rest) = head.split_first()?;
    if *first != kind {
        return None;
    }
    std::str::from_utf8(rest).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_end_where_they_end() {
        let bytes = b"*3\r\n$4\r\nxadd\r\n$1\r\nk\r\n$3\r\n\r\n*\r\nrest";
        let Parsed::Whole(command) = command(bytes) else { panic!("a whole command") };
        assert_eq!((command.name.as_str(), &bytes[command.len..]), ("XADD", &b"rest"[..]));
        assert_eq!(command.arguments, [b"k".to_vec(), b"\r\n*".to_vec()]);
        for cut in 0..command.len {
            assert_eq!(super::command(&bytes[..cut]), Parsed::Part, "cut at {cut}");
        }
        assert_eq!(super::command(b"PING\r\n"), Parsed::Foreign);
    }

    #[test]
    fn replies_of_all_kinds_end_where_they_end() {
        for whole in [
            &b"+OK\r\n"[..],
            b"-ERR no\r\n",
            b":5\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"$3\r\na\r\n\r\n",
            b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
            b"%1\r\n+a\r\n*0\r\n",
            b"_\r\n",
            b"#t\r\n",
        ] {
            assert_eq!(reply(whole), Parsed::Whole((whole.len(), false)));
            for cut in 0..whole.len() {
                assert_eq!(reply(&whole[..cut]), Parsed::Part, "{whole:?} cut at {cut}");
            }
        }
        assert_eq!(reply(b">1\r\n+x\r\n"), Parsed::Whole((8, true)));
        assert_eq!(reply(b"HTTP/1.1\r\n"), Parsed::Foreign);
    }
}
