//! Payloads on the command line: JSON, a file, or standard input.

use std::io::Read;

use poolder_core::{Error, MAX_PAYLOAD};

/// The maximum number of bytes that are read as a payload: one more than a job may have, so that a
/// larger one is refused and not cut.
const MAX_INPUT: u64 = MAX_PAYLOAD as u64 + 1;

/// Returns the text of a payload after a check that it is JSON: `@FILE` is read from the file, `-`
/// from standard input.
pub(crate) fn read(argument: &str) -> Result<String, Error> {
    let text = match argument {
        "-" => read_all("standard input", std::io::stdin())?,
        text => match text.strip_prefix('@') {
            Some(path) => {
                let file = std::fs::File::open(path)
                    .map_err(|error| Error::invalid(format!("{path} cannot be read: {error}")))?;
                read_all(path, file)?
            }
            None => text.to_owned(),
        },
    };
    let read = serde_json::from_str::<serde_json::Value>(&text);
    read.map_err(|error| {
        Error::invalid(format!(
            "the payload is not JSON: {error}; write it such as '{{\"user\":7}}'"
        ))
    })?;
    // The text is kept as written: parsed JSON would lose the order of fields and large numbers.
    Ok(text.trim().to_owned())
}

fn read_all(name: &str, source: impl Read) -> Result<String, Error> {
    let mut text = String::new();
    source
        .take(MAX_INPUT)
        .read_to_string(&mut text)
        .map_err(|error| Error::invalid(format!("{name} cannot be read: {error}")))?;
    if text.len() > MAX_PAYLOAD {
        return Err(Error::too_large(format!(
            "{name} has more than the {MAX_PAYLOAD} bytes of a payload"
        )));
    }
    Ok(text)
}
