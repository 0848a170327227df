//! Payloads of types that are composed at random: options, lists, maps, and tagged, untagged and
//! flattened types, inside of each other.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use uuid::Uuid;

use super::try_kept;

#[derive(Serialize, Deserialize, Clone, Debug)]
enum Made {
    Unit,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Wide(u128),
    Single(f32),
    Double(f64),
    Char(char),
    Text(String),
    Bytes(ByteBuf),
    Ip(IpAddr),
    Socket(SocketAddr),
    Id(Uuid),
    Options(Option<Option<Option<Box<Self>>>>),
    Nothing(Option<Option<()>>),
    List(Vec<Self>),
    Pair(Box<Self>, Box<Self>),
    ByText(BTreeMap<String, Self>),
    ByNumber(BTreeMap<i64, Self>),
    ByPair(BTreeMap<(bool, u8), Self>),
    ById(BTreeMap<Option<Uuid>, Self>),
    Struct { first: Box<Self>, second: Option<Box<Self>> },
    Tagged(Tagged),
    Adjacent(Adjacent),
    Untagged(Box<Untagged>),
    Flat(Flat),
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(tag = "type")]
enum Tagged {
    Empty,
    Inner { x: Box<Made>, ip: IpAddr },
    Flat(Flat),
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Empty,
    Inner(Box<Made>),
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(untagged)]
enum Untagged {
    Id { id: Uuid },
    Inner { inner: Made },
    Socket(SocketAddr),
}

#[derive(Serialize, Deserialize, Clone, Debug)]
struct Flat {
    id: u32,
    #[serde(flatten)]
    inner: Inside,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
struct Inside {
    x: Box<Made>,
}

fn values() -> impl Strategy<Value = Made> {
    let ip = || any::<IpAddr>();
    let id = || any::<u128>().prop_map(Uuid::from_u128);
    let leaf = prop_oneof![
        Just(Made::Unit),
        any::<bool>().prop_map(Made::Bool),
        any::<i64>().prop_map(Made::Int),
        any::<u64>().prop_map(Made::Uint),
        any::<u128>().prop_map(Made::Wide),
        proptest::num::f32::ANY.prop_map(Made::Single),
        proptest::num::f64::ANY.prop_map(Made::Double),
        any::<char>().prop_map(Made::Char),
        ".{0,40}".prop_map(Made::Text),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Made::Bytes(ByteBuf::from(bytes))),
        ip().prop_map(Made::Ip),
        (ip(), any::<u16>()).prop_map(|(ip, port)| Made::Socket(SocketAddr::new(ip, port))),
        id().prop_map(Made::Id),
        any::<Option<Option<()>>>().prop_map(Made::Nothing),
        Just(Made::Tagged(Tagged::Empty)),
        Just(Made::Adjacent(Adjacent::Empty)),
        id().prop_map(|id| Made::Untagged(Box::new(Untagged::Id { id }))),
        (ip(), any::<u16>()).prop_map(|(ip, port)| {
            Made::Untagged(Box::new(Untagged::Socket(SocketAddr::new(ip, port))))
        }),
    ];
    leaf.prop_recursive(5, 40, 6, move |made| {
        let boxed = made.clone().prop_map(Box::new);
        let flat =
            (any::<u32>(), boxed.clone()).prop_map(|(id, x)| Flat { id, inner: Inside { x } });
        prop_oneof![
            proptest::option::of(proptest::option::of(proptest::option::of(boxed.clone())))
                .prop_map(Made::Options),
            vec(made.clone(), 0..20).prop_map(Made::List),
            (boxed.clone(), boxed.clone()).prop_map(|(a, b)| Made::Pair(a, b)),
            btree_map(".{0,3}", made.clone(), 0..6).prop_map(Made::ByText),
            btree_map(-40..40_i64, made.clone(), 0..20).prop_map(Made::ByNumber),
            btree_map(any::<(bool, u8)>(), made.clone(), 0..4).prop_map(Made::ByPair),
            btree_map(proptest::option::of(id()), made.clone(), 0..4).prop_map(Made::ById),
            (boxed.clone(), proptest::option::of(boxed.clone()))
                .prop_map(|(first, second)| Made::Struct { first, second }),
            (boxed.clone(), ip()).prop_map(|(x, ip)| Made::Tagged(Tagged::Inner { x, ip })),
            flat.clone().prop_map(|flat| Made::Tagged(Tagged::Flat(flat))),
            boxed.clone().prop_map(|inner| Made::Adjacent(Adjacent::Inner(inner))),
            made.clone().prop_map(|inner| Made::Untagged(Box::new(Untagged::Inner { inner }))),
            flat.prop_map(Made::Flat),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_of_any_type_is_kept_or_refused_for_a_reason(value in values()) {
        if let Err(error) = try_kept(&value) {
            let text = error.to_string();
            prop_assert!(text.contains("128-bit integer") && text.contains("field `v"), "{}", text);
            let debug = format!("{value:?}");
            prop_assert!(debug.contains("Wide"), "{}", debug);
        }
    }
}
