//! Bytes as text: base64 with padding (RFC 4648, section 4).

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns the text of bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for some in bytes.chunks(3) {
        let all = some.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        let all = all << (8 * (3 - some.len()));
        for at in 0..4 {
            let letter = LETTERS[(all >> (18 - 6 * at) & 63) as usize];
            text.push(if at > some.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

/// Returns the bytes of a text; `None` for one that no bytes have.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let quads = text.len() / 4;
    for (at, quad) in text.chunks(4).enumerate() {
        let letters = quad.iter().take_while(|letter| **letter != b'=').count();
        let is_padded = quad[letters..].iter().all(|letter| *letter == b'=');
        if letters < 2 || !is_padded || (letters < 4 && at + 1 < quads) {
            return None;
        }
        let mut all = 0_u32;
        for letter in &quad[..letters] {
            let value = LETTERS.iter().position(|known| known == letter)?;
            all = all << 6 | u32::try_from(value).ok()?;
        }
        all <<= 6 * (4 - letters);
        let [_, one, two, three] = all.to_be_bytes();
        bytes.extend(&[one, two, three][..letters - 1]);
        // Bits of the last letter that belong to no byte are zero in what `encode` writes.
        if [one, two, three][letters - 1..].iter().any(|rest| *rest != 0) {
            return None;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_each_length_come_back_and_other_text_is_refused() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
        for bad in
            ["Z", "Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm9!", "Zm 9", "Zm9v\n"]
        {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
