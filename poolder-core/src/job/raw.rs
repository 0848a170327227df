//! A payload as it is stored, before its type is known.

/// A payload as it is stored, before its type is known.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
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

impl<'a> RawJob<'a> {
    /// Creates the stored form of a payload, such as for a test of [`Job::decode`](crate::Job).
    /// Its version is 1 and its format MessagePack; set the fields to change them.
    ///
    /// ```
    /// use poolder_core::{RawJob, payload};
    ///
    /// let raw = RawJob::new("count", &[7]);
    /// assert_eq!(payload::decode::<u64>(raw)?, 7);
    /// # Ok::<(), poolder_core::Error>(())
    /// ```
    #[must_use]
    pub const fn new(kind: &'a str, payload: &'a [u8]) -> Self {
        Self { kind, version: 1, format: Format::MessagePack, payload }
    }
}

/// The format of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// MessagePack, written by Poolder's clients.
    MessagePack,
    /// JSON, written by producers without a Poolder client.
    Json,
}
