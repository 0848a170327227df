//! The icons, as markup.

/// Returns the icon of a name; nothing for an unknown one. Icons stand beside words, so that no
/// reader needs them.
pub(crate) fn icon(name: &str) -> String {
    with_class(name, "")
}

/// Returns the icon of a name in a tone.
pub(crate) fn with_class(name: &str, class: &str) -> String {
    let Some((_, drawing)) = ICONS.iter().find(|(icon, _)| *icon == name) else {
        return String::new();
    };
    format!("<svg class=\"i {class}\" viewBox=\"0 0 16 16\" aria-hidden=\"true\">{drawing}</svg>")
}

const ICONS: &[(&str, &str)] = &[
    ("overview", "<path d=\"M2.5 8L8 3l5.5 5M4 7.5V13h8V7.5\"/>"),
    ("queues", "<path d=\"M2.5 4.5h11M2.5 8h11M2.5 11.5h7\"/>"),
    ("jobs", "<rect x=\"3\" y=\"3\" width=\"10\" height=\"10\" rx=\"2\"/><path d=\"M6 8h4\"/>"),
    ("errors", "<path d=\"M8 2.5l6 10.5H2z\"/><path d=\"M8 6.5v3M8 11.3v.1\"/>"),
    ("schedules", "<circle cx=\"8\" cy=\"8\" r=\"5.5\"/><path d=\"M8 5v3.2l2 1.3\"/>"),
    (
        "batches",
        "<rect x=\"2.5\" y=\"8.5\" width=\"5\" height=\"5\" rx=\"1\"/><rect x=\"8.5\" y=\"8.5\" width=\"5\" height=\"5\" rx=\"1\"/><rect x=\"5.5\" y=\"2.5\" width=\"5\" height=\"5\" rx=\"1\"/>",
    ),
    ("pools", "<circle cx=\"5.5\" cy=\"10.5\" r=\"3\"/><path d=\"M7.8 8.2L13 3M11 5l2 2\"/>"),
    (
        "nodes",
        "<rect x=\"2.5\" y=\"3\" width=\"11\" height=\"4\" rx=\"1\"/><rect x=\"2.5\" y=\"9\" width=\"11\" height=\"4\" rx=\"1\"/><path d=\"M5 5v.1M5 11v.1\"/>",
    ),
    ("kinds", "<path d=\"M2.5 13V3M2.5 13h11M5 10l2.5-3 2 2L13 5\"/>"),
    ("journal", "<path d=\"M4 2.5h8v11H4zM6 5.5h4M6 8h4\"/>"),
    (
        "audit",
        "<path d=\"M1.8 8S4 4 8 4s6.2 4 6.2 4S12 12 8 12 1.8 8 1.8 8z\"/><circle cx=\"8\" cy=\"8\" r=\"1.8\"/>",
    ),
    (
        "server",
        "<ellipse cx=\"8\" cy=\"4\" rx=\"5\" ry=\"1.8\"/><path d=\"M3 4v8c0 1 2.2 1.8 5 1.8s5-.8 5-1.8V4M3 8c0 1 2.2 1.8 5 1.8S13 9 13 8\"/>",
    ),
    ("search", "<circle cx=\"7\" cy=\"7\" r=\"4.2\"/><path d=\"M10.3 10.3L13.5 13.5\"/>"),
    ("pause", "<path d=\"M6 4v8M10 4v8\"/>"),
    ("theme", "<path d=\"M12.5 9.5A5 5 0 0 1 6.5 3.5a5 5 0 1 0 6 6z\"/>"),
    ("ready", "<circle cx=\"8\" cy=\"8\" r=\"5.5\"/>"),
    (
        "running",
        "<circle cx=\"8\" cy=\"8\" r=\"5.5\"/><path d=\"M8 2.5a5.5 5.5 0 0 1 0 11z\" fill=\"currentColor\"/>",
    ),
    ("scheduled", "<circle cx=\"8\" cy=\"8\" r=\"5.5\"/><path d=\"M8 5v3.2l2 1.3\"/>"),
    ("retrying", "<path d=\"M13 8a5 5 0 1 1-1.6-3.7\"/><path d=\"M13.2 2.2v2.6h-2.6\"/>"),
    ("dead", "<circle cx=\"8\" cy=\"8\" r=\"5.5\"/><path d=\"M6 6l4 4M10 6l-4 4\"/>"),
    ("completed", "<circle cx=\"8\" cy=\"8\" r=\"5.5\"/><path d=\"M5.6 8.2l1.7 1.7 3.2-3.6\"/>"),
    ("yes", "<path d=\"M3.5 8.5l3 3 6-7\"/>"),
    ("no", "<path d=\"M4.5 4.5l7 7M11.5 4.5l-7 7\"/>"),
    ("line", "<path d=\"M4 8h8\"/>"),
    ("info", "<circle cx=\"8\" cy=\"8\" r=\"5.5\"/><path d=\"M8 7.5v3.2M8 5.2v.1\"/>"),
];
