//! A payload as it was stored, before its type is known.

/// A payload as it was stored, before its type is known.
#[derive(Debug, Clone, Copy)]
pub struct RawJob<'a> {
    /// The kind.
    pub kind: &'a str,
    /// The version its producer wrote.
    pub version: u16,
    /// How the payload is written.
    pub format: Format,
    /// The payload.
    pub payload: &'a [u8],
}

/// How a payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// MessagePack, as Poolder's own clients write it.
    MessagePack,
    /// JSON, as producers without a Poolder client write it.
    Json,
}
