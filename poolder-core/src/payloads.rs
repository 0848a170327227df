//! Tests of payloads: each value that is written is read back equal, as a job and as a result, and
//! after an edit in the form that operators see. A value that cannot be read is refused where it is
//! written, with its field.

mod made;
mod shapes;
mod table;

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::job::{Error, Format, JobId, Outcome, RawJob, payload};
use crate::stored::Completion;
use crate::view::{edit, to_json};

#[derive(Serialize, Deserialize, Clone, Debug)]
struct Holder<T> {
    v: T,
    fail: bool,
}

fn raw(payload: &[u8]) -> RawJob<'_> {
    RawJob { kind: "k", version: 1, format: Format::MessagePack, payload }
}

/// Asserts that a value survives as a job, as a result, and through edits.
#[expect(clippy::needless_pass_by_value, reason = "the rows of the table are values")]
fn kept<T: Serialize + DeserializeOwned + Clone + Debug>(name: &str, value: T) {
    try_kept(&value).unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// Asserts that a value is refused, with its field.
#[expect(clippy::needless_pass_by_value, reason = "the rows of the table are values")]
fn refused<T: Serialize + DeserializeOwned + Clone + Debug>(name: &str, field: &str, value: T) {
    let error = try_kept(&value).expect_err(name);
    assert!(error.is_codec() && error.to_string().contains(field), "{name}: {error}");
}

/// Returns the error of the enqueue, and panics where a value that was taken changes.
fn try_kept<T: Serialize + DeserializeOwned + Clone + Debug>(value: &T) -> Result<(), Error> {
    let want = format!("{value:?}");
    let mut stored = vec![];
    let holder = Holder { v: value.clone(), fail: true };
    payload::encode(&holder, &mut stored)?;
    let read = |format, payload: &[u8]| -> Holder<T> {
        let raw = RawJob { format, ..raw(payload) };
        let read = payload::decode(raw);
        read.unwrap_or_else(|error| panic!("{want:.300}: {error}, of {payload:x?}"))
    };
    assert_eq!(format!("{:?}", read(Format::MessagePack, &stored).v), want);
    // Earlier versions wrote payloads with `rmp_serde`, and read them with it.
    let earlier = rmp_serde::to_vec_named(&holder).unwrap();
    assert!(stored.starts_with(&[0xc1, 2]) || stored == earlier);
    let readable = rmp_serde::from_slice::<Holder<T>>(&earlier);
    if readable.is_ok_and(|earlier| format!("{:?}", earlier.v) == want) {
        assert_eq!(format!("{:?}", read(Format::MessagePack, &earlier).v), want);
    }
    let Outcome::DoneWith(result) = Outcome::result(value)? else { unreachable!() };
    let result: T = Completion::DoneWith(result).into_result(JobId::from_bytes([1; 16])).unwrap();
    assert_eq!(format!("{result:?}"), want);
    let mut shown = to_json(raw(&stored)).unwrap();
    let unchanged = edit(raw(&stored), &shown).unwrap();
    assert_eq!(unchanged, (Format::MessagePack, stored.clone()), "{shown}");
    shown["fail"] = json!(false);
    let (format, edited) = edit(raw(&stored), &shown).unwrap();
    let edited = read(format, &edited);
    assert_eq!((format!("{:?}", edited.v), edited.fail), (want, false), "{shown}");
    Ok(())
}

#[test]
fn a_value_that_its_own_type_cannot_read_is_refused() {
    #[derive(Serialize, Deserialize, Clone, Debug)]
    struct Extra {
        id: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    refused(
        "a name that occurs twice",
        "duplicate field",
        Extra { id: 1, rest: [("id".into(), 2)].into() },
    );
    kept("no name twice", Extra { id: 1, rest: [("a".into(), 2)].into() });

    #[derive(Deserialize, Clone, Debug)]
    struct Short;
    impl Serialize for Short {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            serializer.serialize_seq(Some(2))?.end()
        }
    }
    refused("a list that announces more than it has", "field `v`", Short);
}

#[test]
fn the_path_leads_to_the_field_through_lists_maps_and_variants() {
    #[derive(Serialize, Deserialize, Clone, Debug)]
    enum Tree {
        Leaf(Vec<BTreeMap<String, Option<serde_json::Value>>>),
        Pair(u8, serde_json::Value),
        Named { part: serde_json::Value },
    }
    let deep = || (0..80).fold(json!(1), |inner, _| json!([inner]));
    let leaf = Tree::Leaf(vec![[].into(), [("a key".into(), Some(deep()))].into()]);
    refused("leaf", "field `v.Leaf[1].a key[0][0]", leaf);
    refused("pair", "field `v.Pair[1][0]", Tree::Pair(1, deep()));
    refused("named", "field `v.Named.part[0]", Tree::Named { part: deep() });
    let names = BTreeMap::from([("x".repeat(1_000), deep())]);
    let error = try_kept(&names).unwrap_err().to_string();
    assert!(error.len() < 500 && error.contains("64 deep"), "{error}");
    let at_most = (0..63).fold(json!(1), |inner, _| json!([inner]));
    kept("64 levels with the holder", at_most.clone());
    refused("65 levels with the holder", "field `v[0]", json!([at_most]));
}

#[test]
fn enums_nested_without_end_are_an_error_not_an_abort() {
    #[derive(Serialize, Deserialize, Clone, Debug)]
    enum Chain {
        End,
        Deep(Box<Self>),
    }
    kept("a chain", (0..60).fold(Chain::End, |inner, _| Chain::Deep(Box::new(inner))));
    let long = [b"\x81\xa4Deep".repeat(100_000), b"\xa3End".to_vec()].concat();
    assert!(payload::decode::<Chain>(raw(&long)).is_err_and(|error| error.is_codec()));
}

#[test]
fn a_later_encoding_is_named() {
    let error = payload::decode::<u8>(raw(b"\xc1\x03\x07")).unwrap_err();
    assert!(error.to_string().contains("a newer version"), "{error}");
    assert!(payload::decode::<Option<u8>>(raw(b"\xc1\x02\xd4\x50\0")).is_err());
}

#[test]
fn an_edit_changes_its_field_and_takes_the_type_of_the_old_value() {
    #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
    #[serde(tag = "type")]
    enum Order {
        Open { by: BTreeMap<i64, f64>, blob: serde_bytes::ByteBuf, id: Option<uuid::Uuid> },
    }
    let id = uuid::Uuid::from_u128(7);
    let blob = |bytes: &[u8]| serde_bytes::ByteBuf::from(bytes);
    let by = BTreeMap::from([(1, f64::NAN), (2, f64::INFINITY)]);
    let mut stored = vec![];
    payload::encode(&Order::Open { by, blob: blob(&[1, 2]), id: None }, &mut stored).unwrap();
    let mut shown = to_json(raw(&stored)).unwrap();
    let expected =
        json!({"type": "Open", "by": {"1": "NaN", "2": "inf"}, "blob": [1, 2], "id": null});
    assert_eq!(shown, expected);
    shown["by"] = json!({"2": "inf", "3": "-inf", "-4": 5});
    shown["blob"] = json!([3]);
    shown["id"] = json!(id.to_string());
    let (_, edited) = edit(raw(&stored), &shown).unwrap();
    let by = BTreeMap::from([(-4, 5.0), (2, f64::INFINITY), (3, f64::NEG_INFINITY)]);
    let want = Order::Open { by, blob: blob(&[3]), id: Some(id) };
    assert_eq!(payload::decode::<Order>(raw(&edited)).unwrap(), want);
    // A map that was empty tells no type of its keys.
    let mut stored = vec![];
    payload::encode(&BTreeMap::<u8, bool>::new(), &mut stored).unwrap();
    let (_, edited) = edit(raw(&stored), &json!({"5": true})).unwrap();
    assert_eq!(payload::decode::<BTreeMap<u8, bool>>(raw(&edited)).unwrap(), [(5, true)].into());
}

#[test]
fn keys_that_are_shown_alike_are_numbered() {
    let map = BTreeMap::from([(None, 1), (Some("null".to_owned()), 2)]);
    let mut stored = vec![];
    payload::encode(&map, &mut stored).unwrap();
    let shown = to_json(raw(&stored)).unwrap();
    assert_eq!(shown, json!({"null": 1, "null #2": 2}));
    let (_, edited) = edit(raw(&stored), &json!({"null": 1, "null #2": 3})).unwrap();
    let edited: BTreeMap<Option<String>, u8> = payload::decode(raw(&edited)).unwrap();
    assert_eq!(edited, [(None, 1), (Some("null".into()), 3)].into());
}
