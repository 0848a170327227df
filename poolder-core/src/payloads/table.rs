//! The payloads of public reports, and every shape that serde knows.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use super::shapes::*;
use super::{kept, refused};

#[test]
fn every_shape_is_kept_or_refused_with_its_field() {
    let uuid = uuid::Uuid::parse_str("f47ac10b-58cc-4372-a567-0e02b2c3d479").unwrap();
    let ip: IpAddr = "10.1.2.3".parse().unwrap();
    let ip6: IpAddr = "2001:db8::1".parse().unwrap();
    // numbers
    kept("u64::MAX", u64::MAX);
    kept("i64::MIN", i64::MIN);
    kept("u64 3889108265204450030 (faktory#395)", 3889108265204450030_u64);
    kept("u128::MAX", u128::MAX);
    kept("i128::MIN", i128::MIN);
    kept("i128 small", 5_i128);
    kept("f64 NaN", f64::NAN);
    kept("f64 inf", f64::INFINITY);
    kept("f64 -0.0", -0.0_f64);
    kept("f64 5e-324", 5e-324_f64);
    kept("f64 0.1+0.2", 0.1_f64 + 0.2);
    kept("f32 0.1", 0.1_f32);
    kept("f64 whole 3.0", 3.0_f64);
    kept("NonZeroU64", std::num::NonZeroU64::MAX);
    // text
    kept("char", '😀');
    kept("nul in string (dginev/CorTeX#7)", "a\0b".to_string());
    kept("unicode", "e\u{301}\u{202e}👩‍👩‍👧\u{feff}\u{10ffff}".to_string());
    kept("empty string", String::new());
    kept("string 200k", "ä".repeat(100_000));
    // bytes
    kept("Vec<u8>", vec![0_u8, 127, 128, 255]);
    kept("serde_bytes", Bytes(vec![0, 127, 128, 255]));
    kept("ByteBuf empty", serde_bytes::ByteBuf::new());
    kept("[u8;32]", [7_u8; 32]);
    kept("Option<ByteBuf>", Some(serde_bytes::ByteBuf::from(vec![1, 2])));
    // containers
    kept("empty vec", Vec::<u8>::new());
    kept("empty map", BTreeMap::<String, u8>::new());
    kept("map u64 keys", BTreeMap::from([(u64::MAX, 1), (0, 2)]));
    kept("map i64 keys", BTreeMap::from([(-5_i64, 1)]));
    kept("map bool keys", BTreeMap::from([(true, 1)]));
    kept("map char keys", BTreeMap::from([('ä', 1)]));
    kept("map enum keys", BTreeMap::from([(Key::A, 1), (Key::B, 2)]));
    kept("map tuple keys", BTreeMap::from([((1_i32, 2_i32), 3)]));
    kept("map uuid keys (conjure-rust#386)", BTreeMap::from([(uuid, 1)]));
    kept("map option keys", BTreeMap::from([(Some("a".to_string()), 1), (None, 2)]));
    kept("map bytes keys", BTreeMap::from([(serde_bytes::ByteBuf::from(vec![1]), 1)]));
    kept("set of tuples", BTreeSet::from([(1, "a".to_string())]));
    kept("VecDeque", VecDeque::from([1, 2]));
    kept("tuple 5", (1_u8, "a".to_string(), 2.5_f64, None::<u8>, vec![true]));
    kept("[u16;0]", [0_u16; 0]);
    // options and units
    kept("None", None::<u8>);
    kept("Some(None)", Some(None::<u8>));
    kept("Some(())", Some(()));
    kept("()", ());
    kept("unit struct", Unit);
    kept("empty struct", Empty {});
    kept("tuple struct", Tup(1, "x".into()));
    kept("transparent", Trans { v: 3 });
    kept("Result Err", Err::<u8, String>("no".into()));
    kept("PhantomData", std::marker::PhantomData::<u8>);
    kept("Range", 3..9);
    kept("Bound", std::ops::Bound::Excluded(3));
    kept("Reverse/Wrapping", (std::cmp::Reverse(1), std::num::Wrapping(2)));
    // enums
    kept("ext unit", Ext::U);
    kept("ext newtype", Ext::N(u64::MAX));
    kept("ext tuple", Ext::T(1, "a".into()));
    kept("ext struct none", Ext::S { a: 1, b: None });
    kept("ext nested 10", (0..10).fold(Ext::U, |e, _| Ext::Deep(Box::new(e))));
    kept("int tag", Int::A { x: 7_u8 });
    kept("int tag unit", Int::<u8>::B);
    kept("int tag u64::MAX", Int::A { x: u64::MAX });
    kept("int tag f32", Int::A { x: 0.1_f32 });
    refused("int tag u128 (serde#1717 kin)", "v", Int::A { x: u128::MAX });
    refused("int tag i128", "v", Int::A { x: 5_i128 });
    kept("int tag Vec<u8>", Int::A { x: vec![1_u8] });
    kept("int tag bytes", Int::A { x: Bytes(vec![1, 200]) });
    kept("int tag Uuid", Int::A { x: uuid });
    kept("int tag IpAddr (serde#2172)", Int::A { x: ip });
    kept("int tag SocketAddr", Int::A { x: SocketAddr::new(ip, 80) });
    kept("int tag map u64 keys", Int::A { x: BTreeMap::from([(1_u64, 2)]) });
    kept("int tag Option None", Int::A { x: None::<u8> });
    kept(
        "int tag chrono",
        Int::A { x: chrono::DateTime::<chrono::Utc>::from_timestamp(1, 5).unwrap() },
    );
    kept("int tag Duration", Int::A { x: Duration::new(1, 5) });
    kept("int tag char", Int::A { x: 'ä' });
    kept("int tag ()", Int::A { x: () });
    kept("int tag unit struct", Int::A { x: Unit });
    kept("int tag nested ext (rmp#148)", Int::A { x: Ext::T(1, "b".into()) });
    kept("versioned ip+uuid", Versioned::V1 { ip, id: uuid });
    kept("adj struct", Adj::A { x: 7_u8 });
    kept("adj newtype (rmp#153)", Adj::N("x".to_string()));
    kept("adj unit", Adj::<u8>::B);
    kept("adj IpAddr", Adj::N(ip));
    kept("untagged num -1", Num::I(-1));
    kept("untagged num u64::MAX", Num::U(u64::MAX));
    kept("untagged num 3.0", Num::F(3.0));
    kept("untagged null", Num::N);
    kept("untagged nested ext (rmp#148)", Unt::A(Ext::U));
    kept("untagged IpAddr (serde#2172)", Unt::A(ip));
    kept("untagged Uuid", Unt::A(uuid));
    kept("untagged bytes", Unt::A(Bytes(vec![1, 2])));
    refused("untagged u128", "v", Unt::A(u128::MAX));
    // flatten
    kept("flatten struct", Flat { id: 1, inner: In { x: 5_u8 } });
    kept("flatten u64::MAX", Flat { id: 1, inner: In { x: u64::MAX } });
    refused("flatten u128", "v", Flat { id: 1, inner: In { x: u128::MAX } });
    kept("flatten bytes", Flat { id: 1, inner: In { x: Bytes(vec![1, 2]) } });
    kept("flatten IpAddr (serde#2172)", Flat { id: 1, inner: In { x: ip } });
    kept("flatten Uuid", Flat { id: 1, inner: In { x: uuid } });
    kept("flatten map u64 keys", Flat { id: 1, inner: In { x: BTreeMap::from([(1_u64, 2)]) } });
    kept("flatten option", Flat { id: 1, inner: In { x: None::<u8> } });
    kept(
        "flatten extra map",
        Extra {
            id: 1,
            extra: HashMap::from([("k".into(), serde_json::json!({"a": [1, 2.5, null]}))]),
        },
    );
    kept("flatten empty map", Extra { id: 1, extra: HashMap::new() });
    kept("flatten tagged (serde#1189)", FlatTag { id: 1, kind: Int::A { x: 9 } });
    // skip, default
    kept("skip_if none first (rmp#86)", Skip { a: None, b: 2, c: vec![] });
    kept("skip_if some", Skip { a: Some(1), b: 2, c: vec![3] });
    kept("deny_unknown", Strict { a: 1 });
    kept("kebab", Kebab { long_name: 1 });
    // time
    kept(
        "chrono Utc",
        chrono::DateTime::<chrono::Utc>::from_timestamp(1_774_746_000, 123_456_789).unwrap(),
    );
    kept(
        "chrono Fixed",
        chrono::DateTime::parse_from_rfc3339("2026-03-29T02:30:00+05:45").unwrap(),
    );
    kept("chrono NaiveDate", chrono::NaiveDate::from_ymd_opt(2024, 2, 29).unwrap());
    kept(
        "chrono leap second",
        chrono::NaiveDate::from_ymd_opt(2016, 12, 31)
            .unwrap()
            .and_hms_milli_opt(23, 59, 59, 1_500)
            .unwrap(),
    );
    kept("chrono year -1", chrono::NaiveDate::from_ymd_opt(-1, 1, 1).unwrap());
    kept("chrono MAX_UTC", chrono::DateTime::<chrono::Utc>::MAX_UTC);
    kept(
        "chrono ts_ms",
        Tsms { at: chrono::DateTime::from_timestamp_millis(1_774_746_000_123).unwrap() },
    );
    kept("chrono Weekday", chrono::Weekday::Sun);
    kept("chrono TimeDelta", chrono::TimeDelta::milliseconds(-1500));
    kept("Duration MAX", Duration::MAX);
    kept("SystemTime", SystemTime::UNIX_EPOCH + Duration::new(1_774_746_000, 5));
    // net, ids
    kept("IpAddr v4 (rmp#235)", ip);
    kept("IpAddr v6", ip6);
    kept("SocketAddr", SocketAddr::new(ip, 8080));
    kept("Uuid", uuid);
    kept("Vec<Uuid>", vec![uuid, uuid]);
    kept("Option<Uuid>", Some(uuid));
    // json inside
    kept(
        "json Value",
        serde_json::json!({"a": [1, -1, 2.5, null, true, "x", {"b": u64::MAX}], "": {}}),
    );
    // deep
    kept("recursive 20", rec(20));
    kept("recursive 30", rec(30));
    kept("recursive 40", rec(40));
    kept("recursive 60", rec(60));
    kept("json depth 50", deep_vec(50));
    kept("json depth 62", deep_vec(62));
    refused("json depth 70", "v[0][0]", deep_vec(70));
    kept("PathBuf", std::path::PathBuf::from("/tmp/ä b"));
}
