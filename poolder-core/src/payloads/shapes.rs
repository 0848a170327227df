//! The types of the payloads of the table.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Unit;

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Empty {}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Tup(pub(crate) u8, pub(crate) String);

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) enum Ext {
    U,
    N(u64),
    T(u8, String),
    S { a: u8, b: Option<String> },
    Deep(Box<Self>),
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(tag = "type")]
pub(crate) enum Int<T> {
    A { x: T },
    B,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(tag = "t", content = "c")]
pub(crate) enum Adj<T> {
    A { x: T },
    N(T),
    B,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(untagged)]
pub(crate) enum Unt<T> {
    A(T),
    S(String),
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(untagged)]
pub(crate) enum Num {
    I(i64),
    U(u64),
    F(f64),
    S(String),
    B(bool),
    N,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Flat<T> {
    pub(crate) id: u32,
    #[serde(flatten)]
    pub(crate) inner: In<T>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct In<T> {
    pub(crate) x: T,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Extra {
    pub(crate) id: u32,
    #[serde(flatten)]
    pub(crate) extra: HashMap<String, serde_json::Value>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct FlatTag {
    pub(crate) id: u32,
    #[serde(flatten)]
    pub(crate) kind: Int<u64>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Skip {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) a: Option<u8>,
    pub(crate) b: u8,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) c: Vec<u8>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(transparent)]
pub(crate) struct Trans {
    pub(crate) v: u64,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Bytes(#[serde(with = "serde_bytes")] pub(crate) Vec<u8>);

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Tsms {
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub(crate) at: chrono::DateTime<chrono::Utc>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Rec {
    pub(crate) next: Option<Box<Self>>,
}

pub(crate) fn rec(n: usize) -> Rec {
    let mut r = Rec { next: None };
    for _ in 0..n {
        r = Rec { next: Some(Box::new(r)) }
    }
    r
}

pub(crate) fn deep_vec(n: usize) -> serde_json::Value {
    let mut v = serde_json::json!(1);
    for _ in 0..n {
        v = serde_json::json!([v]);
    }
    v
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Strict {
    pub(crate) a: u8,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Kebab {
    pub(crate) long_name: u8,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    A,
    B,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(tag = "v")]
pub(crate) enum Versioned {
    #[serde(rename = "1")]
    V1 { ip: IpAddr, id: uuid::Uuid },
    #[serde(other)]
    Unknown,
}
