//! Writes the MessagePack that `cmsgpack.unpack_limit` reads. Its subset has no type for bytes: bytes are
//! written as text, as Lua keeps both in strings.

/// A value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Bytes(&'a [u8]),
    Number(i64),
    Flag(bool),
    /// The absence of a value, `nil` in Lua.
    Nil,
}

/// Values that are packed one after another.
#[derive(Debug)]
pub(super) struct Packed(Vec<u8>);

impl Packed {
    /// Returns no values yet, with room for this many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Returns the packed bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds the header of an array, whose values are added next.
    pub(super) fn add_array(&mut self, values: usize) {
        self.0.push(0xdc);
        self.0.extend(u16::try_from(values).unwrap_or(u16::MAX).to_be_bytes());
    }

    /// Adds values.
    pub(super) fn add(&mut self, values: &[Value<'_>]) {
        for value in values {
            match value {
                Value::Bytes(bytes) => self.bytes(bytes),
                Value::Number(number) => self.number(*number),
                Value::Flag(flag) => self.0.push(if *flag { 0xc3 } else { 0xc2 }),
                Value::Nil => self.0.push(0xc0),
            }
        }
    }

    fn number(&mut self, number: i64) {
        match u8::try_from(number) {
            Ok(small @ 0..=0x7f) => self.0.push(small),
            _ => {
                self.0.push(0xd3);
                self.0.extend(number.to_be_bytes());
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match (u8::try_from(bytes.len()), u16::try_from(bytes.len())) {
            (Ok(len @ 0..=31), _) => self.0.push(0xa0 | len),
            (_, Ok(len)) => {
                self.0.push(0xda);
                self.0.extend(len.to_be_bytes());
            }
            _ => {
                self.0.push(0xdb);
                self.0.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            }
        }
        self.0.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_packed_as_other_readers_of_message_pack_expect() {
        let long = vec![b'x'; 32];
        let longer = vec![b'y'; 0x1_0000];
        let numbers = [0, 127, 128, -1, i64::MAX, i64::MIN].map(Value::Number);
        let others = [
            Value::Flag(true),
            Value::Flag(false),
            Value::Nil,
            Value::Bytes(b""),
            Value::Bytes(&long[1..]),
            Value::Bytes(&long),
            Value::Bytes(&longer),
        ];
        let mut packed = Packed(vec![0x90 | 13]);
        packed.add(&numbers);
        packed.add(&others);
        let read: Vec<serde_json::Value> = rmp_serde::from_slice(packed.as_bytes()).unwrap();
        let text = |len: usize, of: &str| serde_json::Value::from(of.repeat(len));
        let expected = serde_json::json!([
            0,
            127,
            128,
            -1,
            i64::MAX,
            i64::MIN,
            true,
            false,
            null,
            "",
            text(31, "x"),
            text(32, "x"),
            text(0x1_0000, "y")
        ]);
        assert_eq!(serde_json::Value::Array(read), expected);
    }
}
