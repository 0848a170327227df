//! The code that `#[derive(Job)]` generates. The default path is `::poolder`, which in this test is
//! another name of the core.

extern crate poolder_core as poolder;

use std::collections::BTreeMap;
use std::time::Duration;

use poolder::{Backoff, Error, Format, Job, Policy, RawJob, Unique};
use poolder_macros::Job;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn read<T: Job>(kind: &str, format: Format, payload: &[u8]) -> Result<T, Error> {
    let mut raw = RawJob::new(kind, payload);
    (raw.version, raw.format) = (T::VERSION, format);
    T::decode(raw)
}

/// Stores and reads the job, then reads the same job from the JSON of a plain entry.
fn round_trip<T: Job + PartialEq + std::fmt::Debug>(job: &T, kind: &str, json: &str) {
    assert_eq!(job.kind(), kind);
    assert!(job.policy().is_none_or(|policy| policy.check().is_ok()));
    let mut bytes = vec![];
    job.encode(&mut bytes).unwrap();
    assert_eq!(read::<T>(kind, Format::MessagePack, &bytes).unwrap(), *job);
    assert_eq!(read::<T>(kind, Format::Json, json.as_bytes()).unwrap(), *job, "{json}");
}

#[derive(Serialize, Deserialize, Job, Debug, PartialEq)]
struct SendSMS {
    to: String,
}

#[derive(Serialize, Deserialize, Job, Debug, PartialEq)]
#[job(kind = "email.welcome", version = 2, queue = "mail", attempts = 5, crashes = 4)]
#[job(backoff = exponential("1s", "1h"), timeout = "1m 30s", retry_for = 3_600_000)]
struct Welcome {
    user: u64,
    #[serde(default)]
    name: Option<String>,
}

#[test]
fn a_struct_is_one_kind_with_defaults() {
    assert_eq!(SendSMS::KINDS, ["send_sms"]);
    assert_eq!((SendSMS::QUEUE, SendSMS::VERSION), ("default", 1));
    let job = SendSMS { to: "+41".into() };
    assert_eq!(job.policy(), None);
    round_trip(&job, "send_sms", r#"{"to":"+41"}"#);
}

#[test]
fn a_struct_has_what_its_attributes_say() {
    assert_eq!(Welcome::KINDS, ["email.welcome"]);
    assert_eq!((Welcome::QUEUE, Welcome::VERSION), ("mail", 2));
    let job = Welcome { user: 7, name: None };
    let policy = Policy::default()
        .attempts(5)
        .backoff(Backoff::Exponential { base: s(1), cap: s(3_600) })
        .timeout(s(90))
        .retry_for(s(3_600))
        .crashes(4);
    assert_eq!(job.policy(), Some(policy));
    round_trip(&job, "email.welcome", r#"{"user":7}"#);
}

#[test]
fn each_backoff_is_written() {
    macro_rules! backoff {
        ($($name:ident, $value:expr => $expected:expr;)*) => {$(
            // Passes the value through a macro, as user code may.
            #[derive(Serialize, Deserialize, Job)]
            #[job(backoff = $value)]
            struct $name;
            assert_eq!($name.policy(), Some(Policy::default().backoff($expected)));
        )*};
    }
    backoff! {
        Text, "1s" => Backoff::Fixed(s(1));
        Number, 500 => Backoff::Fixed(Duration::from_millis(500));
        Polynomial, polynomial => Backoff::Polynomial;
        Fixed, fixed("10s") => Backoff::Fixed(s(10));
        Exponential, exponential("1s", "1h") => Backoff::Exponential { base: s(1), cap: s(3_600) };
        Linear, linear("10s", "10m") => Backoff::Linear { step: s(10), cap: s(600) };
        List, ["1s", "10s", 60_000] => Backoff::List(vec![s(1), s(10), s(60)]);
    }

    macro_rules! put_together {
        ($kind:expr, $step:expr, $cap:expr) => {
            #[derive(Serialize, Deserialize, Job)]
            #[job(kind = $kind, backoff = linear($step, $cap))]
            struct PutTogether;
        };
    }
    put_together!("a/b", "10s", 600_000);
    assert_eq!(PutTogether::KINDS, ["a/b"]);
    let linear = Backoff::Linear { step: s(10), cap: s(600) };
    assert_eq!(PutTogether.policy().unwrap().backoff, linear);
}

#[derive(Serialize, Deserialize, Job)]
#[deprecated]
struct Deprecated;

#[derive(Serialize, Deserialize, Job, Debug, PartialEq)]
struct Unit;

#[derive(Serialize, Deserialize, Job, Debug, PartialEq)]
struct Newtype(u64);

#[derive(Serialize, Deserialize, Job, Debug, PartialEq)]
struct Tuple(u64, String);

#[derive(Serialize, Deserialize, Job, Debug, PartialEq)]
#[job(kind = "wrap")]
struct Wrap<T, const N: usize>
where
    T: Clone,
{
    inner: T,
}

#[derive(Serialize, Deserialize, Job, Debug, PartialEq)]
enum Either<L, R> {
    Left(L),
    Right { value: R },
}

#[derive(Serialize, Deserialize, Job, Debug, PartialEq)]
struct r#Type {
    r#fn: u8,
}

#[test]
fn every_form_of_type_is_a_job_where_serde_can_store_it() {
    round_trip(&Unit, "unit", "null");
    round_trip(&Newtype(7), "newtype", "7");
    round_trip(&Tuple(7, "a".into()), "tuple", r#"[7,"a"]"#);
    round_trip(&Type { r#fn: 1 }, "type", r#"{"fn":1}"#);
    round_trip(&Wrap::<_, 3> { inner: vec![1_u8] }, "wrap", r#"{"inner":[1]}"#);
    round_trip(&Either::<u8, String>::Left(1), "either.left", "1");
    let right = Either::<u8, String>::Right { value: "a".into() };
    round_trip(&right, "either.right", r#"{"value":"a"}"#);
}

#[derive(Serialize, Deserialize, Job, Debug, PartialEq)]
#[job(kind = "media", queue = "media", version = 3, attempts = 7, timeout = "2h")]
#[job(retry_for = "1d")]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
enum Media {
    Purge,
    #[job(kind = "video/encode", attempts = 2, timeout = "none")]
    EncodeVideo {
        id: u64,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    },
    #[job(backoff = linear("10s", "10m"), crashes = 2, retry_for = "none")]
    Resize(u32, u32),
    #[deprecated]
    Old(String),
    #[serde(skip_serializing)]
    OnlyRead(u8),
    #[serde(alias = "x", alias = "y", rename = "z")]
    Note(Option<Vec<u8>>),
    #[serde(other)]
    Rest,
}

#[test]
#[allow(deprecated, reason = "a deprecated variant is still a kind")]
fn an_enum_is_one_kind_per_variant_in_their_order() {
    let kinds = [
        "media.purge",
        "video/encode",
        "media.resize",
        "media.old",
        "media.only_read",
        "media.note",
        "media.rest",
    ];
    assert_eq!(Media::KINDS, kinds);
    assert_eq!((Media::QUEUE, Media::VERSION), ("media", 3));
    let video = Media::EncodeVideo { id: 7, rest: [("hd".to_owned(), 1)].into() };
    round_trip(&Media::Purge, kinds[0], "null");
    round_trip(&Media::Purge, kinds[0], "{}");
    round_trip(&video, kinds[1], r#"{"id":7,"hd":1}"#);
    round_trip(&Media::Resize(1, 2), kinds[2], "[1,2]");
    round_trip(&Media::Old("a".into()), kinds[3], r#""a""#);
    round_trip(&Media::Note(Some(vec![7])), kinds[5], "[7]");
    round_trip(&Media::Note(None), kinds[5], "null");
    round_trip(&Media::Rest, kinds[6], "null");
}

#[test]
fn a_variant_that_is_only_read_is_counted() {
    assert_eq!(read::<Media>("media.only_read", Format::Json, b"7").unwrap(), Media::OnlyRead(7));
    assert!(Media::OnlyRead(7).encode(&mut vec![]).is_err_and(|error| error.is_codec()));
}

#[test]
fn a_variant_overrides_the_policy_of_its_enum() {
    let base = Policy::default().attempts(7).timeout(s(7_200)).retry_for(s(86_400));
    assert_eq!(Media::Purge.policy().as_ref(), Some(&base));
    let video = Media::EncodeVideo { id: 1, rest: BTreeMap::new() };
    assert_eq!(video.policy(), Some(base.clone().attempts(2).timeout(None)));
    let mut resize = base.backoff(Backoff::Linear { step: s(10), cap: s(600) }).crashes(2);
    resize.retry_for = None;
    assert_eq!(Media::Resize(1, 2).policy(), Some(resize));
}

#[derive(Serialize, Deserialize, Job, Debug, PartialEq)]
#[job(attempts = 3)]
enum Alike {
    One,
    Two,
}

#[test]
fn variants_without_a_policy_share_that_of_the_enum() {
    assert_eq!(Alike::One.policy(), Some(Policy::default().attempts(3)));
    assert_eq!(Alike::Two.policy(), Some(Policy::default().attempts(3)));
    assert_eq!(Alike::KINDS, ["alike.one", "alike.two"]);
}

#[test]
fn a_kind_of_another_type_is_refused() {
    for kind in ["alike", "alike.three", "media.purge", ""] {
        let error = read::<Alike>(kind, Format::Json, b"null").unwrap_err();
        assert!(error.is_codec(), "{error}");
        assert!(error.to_string().contains("is not a kind of derive::Alike"), "{error}");
    }
}

/// An enum whose `Deserialize` swaps its variants.
#[derive(Serialize, Job, Debug, PartialEq)]
enum Crossed {
    One,
    Two,
}

impl<'de> Deserialize<'de> for Crossed {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        Alike::deserialize(reader).map(|alike| match alike {
            Alike::One => Self::Two,
            Alike::Two => Self::One,
        })
    }
}

#[test]
fn a_variant_is_never_taken_for_another() {
    let error = read::<Crossed>("crossed.one", Format::Json, b"null").unwrap_err();
    assert!(error.to_string().contains("was read as another kind of"), "{error}");
}

/// The refusal of `#[serde(skip)]` rests on this: serde does not count a skipped variant when it
/// reads. If serde ever counts them, this test fails, and the refusal can be dropped.
#[test]
fn serde_does_not_count_skipped_variants() {
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    enum Skipping {
        A,
        #[serde(skip)]
        B,
        C,
    }
    fn nth<T: DeserializeOwned>(index: u32) -> Result<T, Error> {
        let mut raw = RawJob::new("k", b"null");
        raw.format = Format::Json;
        poolder::variant::decode(raw, index)
    }
    assert_eq!(nth::<Skipping>(0).unwrap(), Skipping::A);
    assert_eq!(nth::<Skipping>(1).unwrap(), Skipping::C);
    assert!(nth::<Skipping>(2).is_err());
    assert_ne!(Skipping::A, Skipping::B);
}

#[test]
fn a_type_says_how_its_jobs_are_unique() {
    #[derive(Serialize, Deserialize, PartialEq, Debug, Job)]
    #[job(unique(until = "done", by = (tenant, month), across_kinds = true, hold_for = "2d"))]
    struct Report {
        tenant: String,
        month: u8,
        by: u64,
    }
    let report = |by| Report { tenant: "acme".into(), month: 5, by };
    let rule = Unique::until_done().by(&("acme", 5)).across_kinds().hold_for(s(172_800));
    assert_eq!((report(1).unique(), report(2).unique()), (Some(rule.clone()), Some(rule)));

    #[derive(Serialize, Deserialize, PartialEq, Debug, Job)]
    #[job(unique(window = "1m", by = 1))]
    struct Pair(u64, u64);
    assert_eq!(Pair(1, 7).unique(), Some(Unique::window(s(60)).by(&(7_u64,))));

    #[derive(Serialize, Deserialize, PartialEq, Debug, Job)]
    #[job(unique(until = "start", replace = true))]
    enum Media {
        Scan {
            path: String,
        },
        #[job(unique(debounce = "5s", at_most = "1m", by = (path)))]
        Index {
            path: String,
            deep: bool,
        },
    }
    let scan = Media::Scan { path: "a".into() };
    assert_eq!(scan.unique(), Some(Unique::until_start().replace()));
    let index = Media::Index { path: "a".into(), deep: true };
    assert_eq!(index.unique(), Some(Unique::debounce(s(5)).at_most(s(60)).by(&("a",))));

    #[derive(Serialize, Deserialize, PartialEq, Debug, Job)]
    #[job(unique(until = "done", keep = "last", by = account))]
    struct Sync {
        account: u64,
    }
    assert_eq!(Sync { account: 7 }.unique(), Some(Unique::keep_last().by(&(7_u64,))));

    #[derive(Serialize, Deserialize, PartialEq, Debug, Job)]
    #[job(unique())]
    struct Whole;
    assert_eq!(Whole.unique(), Some(Unique::until_done()));

    #[derive(Serialize, Deserialize, PartialEq, Debug, Job)]
    struct Usual;
    assert_eq!(Usual.unique(), None);
}

#[test]
fn a_type_says_which_fields_are_the_group_and_the_cost_of_its_jobs() {
    #[derive(Serialize, Deserialize, PartialEq, Debug, Job)]
    #[job(group = tenant, cost = pages)]
    struct Build {
        tenant: u64,
        pages: i16,
    }
    let build = |pages| Build { tenant: 7, pages };
    assert_eq!((build(3).group(), build(3).cost()), (Some("7".into()), Some(3)));
    assert_eq!((build(0).cost(), build(-1).cost()), (Some(1), Some(1)));

    #[derive(Serialize, Deserialize, PartialEq, Debug, Job)]
    #[job(group = 0)]
    struct Pair(String, u64);
    assert_eq!((Pair("a".into(), 1).group(), Pair("a".into(), 1).cost()), (Some("a".into()), None));

    #[derive(Serialize, Deserialize, PartialEq, Debug, Job)]
    enum Media {
        #[job(group = path)]
        Scan {
            path: String,
        },
        #[job(cost = 0)]
        Index(u64),
        Rest,
    }
    let all = [Media::Scan { path: "a".into() }, Media::Index(u64::MAX), Media::Rest];
    let said = all.map(|job| (job.group(), job.cost()));
    let expected = [(Some("a".to_owned()), None), (None, Some(1_000_000_000)), (None, None)];
    assert_eq!(said, expected);
}
