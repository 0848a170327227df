//! Reads stored values whose size is bounded: other programs may have written larger ones.

use redis::{Cmd, Value};

use crate::broker::connection::reply;
use crate::broker::scripts;
use crate::job::Error;

/// The bytes that are read of a value that is too large. Those of a dead record contain the reason.
pub(in crate::broker) const SHOWN: usize = 16 << 10;

/// A value, or its beginning.
#[derive(Debug)]
pub(in crate::broker) struct StoredValue {
    /// The bytes of the whole value.
    pub(in crate::broker) bytes: usize,
    /// The bytes that were read.
    pub(in crate::broker) read: Vec<u8>,
}

impl StoredValue {
    /// Returns false when only the beginning was read.
    pub(in crate::broker) fn is_whole(&self) -> bool {
        self.read.len() >= self.bytes
    }
}

/// Builds the call of `value.lua`, which reads a value of at most `most` bytes, or the beginning of
/// a larger one: the field of a hash, or with an empty `field` a string.
pub(in crate::broker) fn value_call(key: &str, field: &[u8], most: usize) -> Cmd {
    let mut cmd = scripts::call(&scripts::VALUE, [key]);
    cmd.arg(field).arg(most).arg(SHOWN);
    cmd
}

/// Reads the reply of `value.lua`; `None` when there is no value.
pub(in crate::broker) fn read_value(reply: Value) -> Result<Option<StoredValue>, Error> {
    let mut items = reply::array(reply)?.into_iter();
    let Some(bytes) = items.next() else { return Ok(None) };
    let bytes = usize::try_from(reply::int(bytes)?).unwrap_or(usize::MAX);
    let read = reply::bytes(items.next().unwrap_or_default())?;
    Ok(Some(StoredValue { bytes, read }))
}
