//! The payloads that make the trip: those of public reports, and every shape that serde knows. serde
//! cannot read a 128-bit integer of a tagged, untagged or flattened type in any format.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use crate::round_trip::{case, refused};
use crate::shapes::*;

#[tokio::test(flavor = "multi_thread")]
async fn payload_table() {
    let uuid = uuid::Uuid::parse_str("f47ac10b-58cc-4372-a567-0e02b2c3d479").unwrap();
    let ip: IpAddr = "10.1.2.3".parse().unwrap();
    let ip6: IpAddr = "2001:db8::1".parse().unwrap();
    // numbers
    case("u64::MAX", u64::MAX).await;
    case("i64::MIN", i64::MIN).await;
    case("u64 3889108265204450030 (faktory#395)", 3889108265204450030_u64).await;
    case("u128::MAX", u128::MAX).await;
    case("i128::MIN", i128::MIN).await;
    case("i128 small", 5_i128).await;
    case("f64 NaN", f64::NAN).await;
    case("f64 inf", f64::INFINITY).await;
    case("f64 -0.0", -0.0_f64).await;
    case("f64 5e-324", 5e-324_f64).await;
    case("f64 0.1+0.2", 0.1_f64 + 0.2).await;
    case("f32 0.1", 0.1_f32).await;
    case("f64 whole 3.0", 3.0_f64).await;
    case("NonZeroU64", std::num::NonZeroU64::MAX).await;
    // text
    case("char", '😀').await;
    case("nul in string (dginev/CorTeX#7)", "a\0b".to_string()).await;
    case("unicode", "e\u{301}\u{202e}👩‍👩‍👧\u{feff}\u{10ffff}".to_string()).await;
    case("empty string", String::new()).await;
    case("string 200k", "ä".repeat(100_000)).await;
    // bytes
    case("Vec<u8>", vec![0_u8, 127, 128, 255]).await;
    case("serde_bytes", Bytes(vec![0, 127, 128, 255])).await;
    case("ByteBuf empty", serde_bytes::ByteBuf::new()).await;
    case("[u8;32]", [7_u8; 32]).await;
    case("Option<ByteBuf>", Some(serde_bytes::ByteBuf::from(vec![1, 2]))).await;
    // containers
    case("empty vec", Vec::<u8>::new()).await;
    case("empty map", BTreeMap::<String, u8>::new()).await;
    case("map u64 keys", BTreeMap::from([(u64::MAX, 1), (0, 2)])).await;
    case("map i64 keys", BTreeMap::from([(-5_i64, 1)])).await;
    case("map bool keys", BTreeMap::from([(true, 1)])).await;
    case("map char keys", BTreeMap::from([('ä', 1)])).await;
    case("map enum keys", BTreeMap::from([(Key::A, 1), (Key::B, 2)])).await;
    case("map tuple keys", BTreeMap::from([((1_i32, 2_i32), 3)])).await;
    case("map uuid keys (conjure-rust#386)", BTreeMap::from([(uuid, 1)])).await;
    case("map option keys", BTreeMap::from([(Some("a".to_string()), 1), (None, 2)])).await;
    case("map bytes keys", BTreeMap::from([(serde_bytes::ByteBuf::from(vec![1]), 1)])).await;
    case("set of tuples", BTreeSet::from([(1, "a".to_string())])).await;
    case("VecDeque", VecDeque::from([1, 2])).await;
    case("tuple 5", (1_u8, "a".to_string(), 2.5_f64, None::<u8>, vec![true])).await;
    case("[u16;0]", [0_u16; 0]).await;
    // options and units
    case("None", None::<u8>).await;
    case("Some(None)", Some(None::<u8>)).await;
    case("Some(())", Some(())).await;
    case("()", ()).await;
    case("unit struct", Unit).await;
    case("empty struct", Empty {}).await;
    case("tuple struct", Tup(1, "x".into())).await;
    case("transparent", Trans { v: 3 }).await;
    case("Result Err", Err::<u8, String>("no".into())).await;
    case("PhantomData", std::marker::PhantomData::<u8>).await;
    case("Range", 3..9).await;
    case("Bound", std::ops::Bound::Excluded(3)).await;
    case("Reverse/Wrapping", (std::cmp::Reverse(1), std::num::Wrapping(2))).await;
    // enums
    case("ext unit", Ext::U).await;
    case("ext newtype", Ext::N(u64::MAX)).await;
    case("ext tuple", Ext::T(1, "a".into())).await;
    case("ext struct none", Ext::S { a: 1, b: None }).await;
    case("ext nested 10", (0..10).fold(Ext::U, |e, _| Ext::Deep(Box::new(e)))).await;
    case("int tag", Int::A { x: 7_u8 }).await;
    case("int tag unit", Int::<u8>::B).await;
    case("int tag u64::MAX", Int::A { x: u64::MAX }).await;
    case("int tag f32", Int::A { x: 0.1_f32 }).await;
    refused("int tag u128 (serde#1717 kin)", "`v.x`", Int::A { x: u128::MAX }).await;
    refused("int tag i128", "`v.x`", Int::A { x: 5_i128 }).await;
    case("int tag Vec<u8>", Int::A { x: vec![1_u8] }).await;
    case("int tag bytes", Int::A { x: Bytes(vec![1, 200]) }).await;
    case("int tag Uuid", Int::A { x: uuid }).await;
    case("int tag IpAddr (serde#2172)", Int::A { x: ip }).await;
    case("int tag SocketAddr", Int::A { x: SocketAddr::new(ip, 80) }).await;
    case("int tag map u64 keys", Int::A { x: BTreeMap::from([(1_u64, 2)]) }).await;
    case("int tag Option None", Int::A { x: None::<u8> }).await;
    case(
        "int tag chrono",
        Int::A { x: chrono::DateTime::<chrono::Utc>::from_timestamp(1, 5).unwrap() },
    )
    .await;
    case("int tag Duration", Int::A { x: Duration::new(1, 5) }).await;
    case("int tag char", Int::A { x: 'ä' }).await;
    case("int tag ()", Int::A { x: () }).await;
    case("int tag unit struct", Int::A { x: Unit }).await;
    case("int tag nested ext (rmp#148)", Int::A { x: Ext::T(1, "b".into()) }).await;
    case("versioned ip+uuid", Versioned::V1 { ip, id: uuid }).await;
    case("adj struct", Adj::A { x: 7_u8 }).await;
    case("adj newtype (rmp#153)", Adj::N("x".to_string())).await;
    case("adj unit", Adj::<u8>::B).await;
    case("adj IpAddr", Adj::N(ip)).await;
    case("untagged num -1", Num::I(-1)).await;
    case("untagged num u64::MAX", Num::U(u64::MAX)).await;
    case("untagged num 3.0", Num::F(3.0)).await;
    case("untagged null", Num::N).await;
    case("untagged nested ext (rmp#148)", Unt::A(Ext::U)).await;
    case("untagged IpAddr (serde#2172)", Unt::A(ip)).await;
    case("untagged Uuid", Unt::A(uuid)).await;
    case("untagged bytes", Unt::A(Bytes(vec![1, 2]))).await;
    refused("untagged u128", "`v`", Unt::A(u128::MAX)).await;
    // flatten
    case("flatten struct", Flat { id: 1, inner: In { x: 5_u8 } }).await;
    case("flatten u64::MAX", Flat { id: 1, inner: In { x: u64::MAX } }).await;
    refused("flatten u128", "`v.x`", Flat { id: 1, inner: In { x: u128::MAX } }).await;
    case("flatten bytes", Flat { id: 1, inner: In { x: Bytes(vec![1, 2]) } }).await;
    case("flatten IpAddr (serde#2172)", Flat { id: 1, inner: In { x: ip } }).await;
    case("flatten Uuid", Flat { id: 1, inner: In { x: uuid } }).await;
    case("flatten map u64 keys", Flat { id: 1, inner: In { x: BTreeMap::from([(1_u64, 2)]) } })
        .await;
    case("flatten option", Flat { id: 1, inner: In { x: None::<u8> } }).await;
    case(
        "flatten extra map",
        Extra {
            id: 1,
            extra: HashMap::from([("k".into(), serde_json::json!({"a": [1, 2.5, null]}))]),
        },
    )
    .await;
    case("flatten empty map", Extra { id: 1, extra: HashMap::new() }).await;
    case("flatten tagged (serde#1189)", FlatTag { id: 1, kind: Int::A { x: 9 } }).await;
    // skip, default
    case("skip_if none first (rmp#86)", Skip { a: None, b: 2, c: vec![] }).await;
    case("skip_if some", Skip { a: Some(1), b: 2, c: vec![3] }).await;
    case("deny_unknown", Strict { a: 1 }).await;
    case("kebab", Kebab { long_name: 1 }).await;
    // time
    case(
        "chrono Utc",
        chrono::DateTime::<chrono::Utc>::from_timestamp(1_774_746_000, 123_456_789).unwrap(),
    )
    .await;
    case(
        "chrono Fixed",
        chrono::DateTime::parse_from_rfc3339("2026-03-29T02:30:00+05:45").unwrap(),
    )
    .await;
    case("chrono NaiveDate", chrono::NaiveDate::from_ymd_opt(2024, 2, 29).unwrap()).await;
    case(
        "chrono leap second",
        chrono::NaiveDate::from_ymd_opt(2016, 12, 31)
            .unwrap()
            .and_hms_milli_opt(23, 59, 59, 1_500)
            .unwrap(),
    )
    .await;
    case("chrono year -1", chrono::NaiveDate::from_ymd_opt(-1, 1, 1).unwrap()).await;
    case("chrono MAX_UTC", chrono::DateTime::<chrono::Utc>::MAX_UTC).await;
    case(
        "chrono ts_ms",
        Tsms { at: chrono::DateTime::from_timestamp_millis(1_774_746_000_123).unwrap() },
    )
    .await;
    case("chrono Weekday", chrono::Weekday::Sun).await;
    case("chrono TimeDelta", chrono::TimeDelta::milliseconds(-1500)).await;
    case("Duration MAX", Duration::MAX).await;
    case("SystemTime", SystemTime::UNIX_EPOCH + Duration::new(1_774_746_000, 5)).await;
    // net, ids
    case("IpAddr v4 (rmp#235)", ip).await;
    case("IpAddr v6", ip6).await;
    case("SocketAddr", SocketAddr::new(ip, 8080)).await;
    case("Uuid", uuid).await;
    case("Vec<Uuid>", vec![uuid, uuid]).await;
    case("Option<Uuid>", Some(uuid)).await;
    // json inside
    case(
        "json Value",
        serde_json::json!({"a": [1, -1, 2.5, null, true, "x", {"b": u64::MAX}], "": {}}),
    )
    .await;
    // deep
    case("recursive 20", rec(20)).await;
    case("recursive 30", rec(30)).await;
    case("recursive 40", rec(40)).await;
    case("recursive 60", rec(60)).await;
    case("json depth 50", deep_vec(50)).await;
    case("json depth 62", deep_vec(62)).await;
    refused("json depth 70", "`v[0][0]", deep_vec(70)).await;
    case("PathBuf", std::path::PathBuf::from("/tmp/ä b")).await;
}
