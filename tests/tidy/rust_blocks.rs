//! Every block of Rust in a document is a doctest.

use crate::{files, none, read, root, show};

/// Blocks of Rust that are not compiled, each by its first line, with the reason.
const NOT_OURS: &[(&str, &str)] =
    &[("let backend = RedisStorage::new(conn);", "shows another library")];

struct Block {
    place: String,
    info: String,
    text: String,
}

#[test]
fn every_page_with_rust_is_compiled() {
    let includes = ["src/lib.rs", "poolder-web/src/lib.rs"].map(|path| read(&root().join(path)));
    let mut wrong = vec![];
    for page in pages() {
        let has_rust = blocks(&page).iter().any(|block| block.info.starts_with("rust"));
        let shown = show(&page);
        if has_rust && !includes.iter().any(|it| it.contains(&format!("../{shown}\")"))) {
            wrong.push(format!("no src/lib.rs includes {shown} as a doctest"));
        }
    }
    none(&wrong);
}

#[test]
fn every_block_of_rust_is_compiled() {
    let mut wrong = vec![];
    for Block { place, info, text } in pages().iter().flat_map(|page| blocks(page)) {
        let is_ours = !NOT_OURS.iter().any(|(begin, _)| text.starts_with(begin));
        if info.contains("ignore") && is_ours {
            wrong.push(format!("{place} is ignored: let it compile, with hidden lines if need be"));
        }
        if ["", "text"].contains(&&*info) && is_rust(&text) {
            wrong.push(format!("{place} is Rust: call it so"));
        }
    }
    none(&wrong);
}

/// Returns whether a text is a list of items or of statements, and no mere name or path.
fn is_rust(text: &str) -> bool {
    let marked = text.contains(';') || text.contains("fn ");
    marked
        && (syn::parse_file(text).is_ok()
            || syn::parse_str::<syn::Block>(&format!("{{{text}}}")).is_ok())
}

fn pages() -> Vec<std::path::PathBuf> {
    let mut pages = files(&root().join("docs"), "md");
    pages.push(root().join("README.md"));
    pages
}

fn blocks(page: &std::path::Path) -> Vec<Block> {
    let text = read(page);
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (vec![], None);
    for (number, line) in (1..).zip(text.lines()) {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(info), None) => {
                let place = format!("{}:{number}", show(page));
                open = Some(Block { place, info: info.to_owned(), text: String::new() });
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn rust_is_told_from_text() {
    assert!(is_rust("let a = 1;\nb(a);") && is_rust("fn a() {}"));
    assert!(
        !is_rust("poolder::a(b) => poolder::c") && !is_rust("INFO a; b was c") && !is_rust("a")
    );
}
