//! No page and no action is left out by `cargo xtask browser`.

#[path = "../browser/table.rs"]
mod table;

#[test]
fn each_page_and_each_action_has_a_check_in_a_browser() {
    let missing = table::missing();
    assert!(missing.is_empty(), "without a row in tests/browser/table.rs: {missing:?}");
}
