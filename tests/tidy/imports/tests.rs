//! The resolver on small made-up crates.

use std::collections::HashMap;

use super::Imports;

fn read(files: &[(&str, &str)]) -> Imports {
    let files: HashMap<&str, &str> = files.iter().copied().collect();
    Imports::of(&|file| files.get(file).map(|text| (*text).to_owned()))
}

/// The arrows as `from > to`.
fn arrows(files: &[(&str, &str)]) -> Vec<String> {
    let imports = read(files);
    assert_eq!(imports.unresolved, Vec::<String>::new());
    imports.arrows.keys().map(|(from, to)| format!("{from} > {to}")).collect()
}

#[test]
fn a_path_leads_through_re_exports_to_the_file_that_defines() {
    let files = [
        ("lib.rs", "mod a; mod b; mod user; pub use b::Deep;"),
        ("a.rs", "pub struct Plain;"),
        ("b/mod.rs", "mod c; pub use c::{Deep, Other as Renamed}; pub use self::c::deepest;"),
        ("b/c.rs", "mod d; pub use d::*; pub struct Other;"),
        ("b/c/d.rs", "pub struct Deep; pub mod deepest { pub struct Inline; }"),
        ("user.rs", "use crate::{Deep, b::Renamed}; use crate::b::deepest::Inline;"),
    ];
    assert_eq!(arrows(&files), ["user.rs > b/c.rs", "user.rs > b/c/d.rs"]);
}

#[test]
fn super_and_self_count_from_the_module_that_says_so() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "mod c; fn helper() {} fn up() { self::c::down() }"),
        (
            "a/c.rs",
            "pub fn down() {} use super::super::b::B; mod inline { fn f() { super::super::helper() } }",
        ),
        ("b.rs", "pub struct B;"),
    ];
    assert_eq!(arrows(&files), ["a.rs > a/c.rs", "a/c.rs > a.rs", "a/c.rs > b.rs"]);
    assert_eq!(read(&files).circles(), [["a.rs", "a/c.rs"]]);
}

#[test]
fn a_private_import_of_a_child_is_an_arrow_and_a_re_export_is_none() {
    let child = ("a/c.rs", "pub struct C;");
    assert_eq!(
        arrows(&[("lib.rs", "mod a;"), ("a.rs", "mod c; pub(crate) use c::C;"), child]),
        [""; 0]
    );
    assert_eq!(
        arrows(&[("lib.rs", "mod a;"), ("a.rs", "mod c; use c::C;"), child]),
        ["a.rs > a/c.rs"]
    );
    // An item that is re-exported from elsewhere was imported from there.
    let files = [("lib.rs", "mod a; mod b;"), ("a.rs", "pub use crate::b::B;")];
    assert_eq!(arrows(&[files[0], files[1], ("b.rs", "pub struct B;")]), ["a.rs > b.rs"]);
}

#[test]
fn a_glob_leads_to_the_module_and_its_names_to_their_files() {
    let files = [
        ("lib.rs", "mod a; mod b; mod user;"),
        ("a.rs", "pub use crate::b::module;"),
        ("b.rs", "pub mod module;"),
        ("b/module.rs", "pub fn call() {}"),
        ("user.rs", "use crate::a::*; fn f() { module::call() }"),
    ];
    assert_eq!(arrows(&files), ["a.rs > b/module.rs", "user.rs > a.rs", "user.rs > b/module.rs"]);
}

#[test]
fn tests_do_not_count() {
    let user = "#[cfg(test)] use crate::a::A;
        #[cfg(test)] mod tests { use crate::a::A; }
        #[cfg(all(test, unix))] mod only_for_tests;
        struct S { #[cfg(test)] a: crate::a::A }
        impl S { #[cfg(test)] fn f() { crate::a::f() } }";
    let files = [
        ("lib.rs", "mod a; mod user;"),
        ("a.rs", "pub struct A; pub fn f() {}"),
        ("user.rs", user),
    ];
    assert_eq!(arrows(&files), [""; 0]);
    assert_eq!(read(&files).files.iter().collect::<Vec<_>>(), ["a.rs", "lib.rs", "user.rs"]);
}

#[test]
fn macros_are_looked_into() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d; mod user;"),
        ("a.rs", "pub fn f() {}"),
        ("b.rs", "make! { MADE = 1; }"),
        ("c.rs", "macro_rules! textual { () => { $crate::a::f() } } mod below;"),
        ("c/below.rs", "textual! {}"),
        ("d.rs", "pub struct D;"),
        ("user.rs", "use crate::b::MADE; fn f() { vec![1, g(super::d::D::new(self.x, <T>::y))]; }"),
    ];
    let all = ["c.rs > a.rs", "c/below.rs > c.rs", "user.rs > b.rs", "user.rs > d.rs"];
    assert_eq!(arrows(&files), all);
}

#[test]
fn what_is_foreign_is_no_arrow() {
    let user = "use a::A; use std::{self, fmt}; use tracing; use ::a::B; use crate::Timing;
        fn f<T>() { tracing::info!(a::x); T::new(); Self::new(); fmt::Debug; Vec::<u8>::new() }
        pub(in crate::b) struct S;";
    let files = [("lib.rs", "mod b; mod a; pub use cron::Timing;"), ("a.rs", ""), ("b.rs", user)];
    assert_eq!(arrows(&files), [""; 0]);
}

#[test]
fn what_leads_nowhere_is_reported() {
    let files = [
        ("lib.rs", "mod a; mod gone; mod broken;"),
        ("a.rs", "use crate::nothing::X; fn f() { m!(use super::broken::{Y}); }"),
        ("broken.rs", "fn ("),
    ];
    let problems = read(&files).unresolved;
    let said = ["lib.rs: `mod gone` has", "broken.rs cannot be parsed", "crate::nothing::X", "{…}"];
    for said in said {
        assert!(problems.iter().any(|problem| problem.contains(said)), "{said}: {problems:?}");
    }
    assert_eq!(problems.len(), 4);
}
