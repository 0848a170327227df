//! A payload as it is stored, before its type is known.

/// A payload as it is stored, before its type is known.
#[derive(Debug, Clone, Copy)]
pub struct RawJob<'a> {
    /// The kind of the job.
    pub kind: &'a str,
    /// The version of the payload's shape, as its producer wrote it.
    pub version: u16,
    /// The format of the payload.
    pub format: Format,
    /// The bytes of the payload.
    pub payload: &'a [u8],
}

/// The format of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// MessagePack, written by Poolder's clients.
    MessagePack,
    /// JSON, written by producers without a Poolder client.
    Json,
}
