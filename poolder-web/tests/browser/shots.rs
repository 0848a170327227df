//! Pictures of the dashboard for the README and the docs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::driver::{Tab, Theme};
use crate::fleet::Fleet;

/// The width of a picture, in pixels.
const WIDTH: u32 = 1440;
/// The largest file of a picture, in bytes.
const LARGEST: usize = 150_000;

/// The pictures: name, address, theme, height.
const SHOTS: [(&str, &str, Theme, u32); 4] = [
    ("overview", "/", Theme::Light, 1560),
    ("overview-dark", "/", Theme::Dark, 1560),
    ("queue", "/queues/mail?state=retrying", Theme::Light, 1090),
    ("job", "/job/{retrying}", Theme::Light, 1290),
];

/// Takes the pictures, as WebP.
pub(crate) async fn take(fleet: &Fleet, tab: &Tab, dir: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    fs::create_dir_all(dir).map_err(failed)?;
    for (name, path, theme, height) in SHOTS {
        tab.look(theme, WIDTH)?;
        tab.open(&fleet.page(path))?;
        // Rates are known after two looks.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let picture = decoded(&tab.picture(height)?);
        if picture.is_empty() || picture.len() > LARGEST {
            return Err(format!("the picture {name} has {} bytes", picture.len()));
        }
        fs::write(dir.join(format!("{name}.webp")), picture).map_err(failed)?;
    }
    Ok(())
}

/// Decodes base64.
fn decoded(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |byte: &u8| DIGITS.iter().position(|digit| digit == byte);
    let digits: Vec<usize> = text.as_bytes().iter().filter_map(value).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let bits = (0..4).fold(0, |bits, at| bits << 6 | four.get(at).copied().unwrap_or(0));
        [bits >> 16, bits >> 8, bits].into_iter().take(four.len() * 3 / 4).map(|it| it as u8)
    });
    bytes.collect()
}
