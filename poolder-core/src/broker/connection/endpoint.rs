//! [`Endpoint`]: the parsed URL. It names one server, the Sentinels that report a primary, or the
//! nodes of a cluster.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use crate::job::Error;

/// The options of the URL of a socket, which the client library reads.
const SOCKET_OPTIONS: [&str; 3] = ["db", "user", "pass"];
/// The options of the URL of Sentinels.
const SENTINEL_OPTIONS: [&str; 2] = ["sentinel_user", "sentinel_password"];
const SENTINEL_PORT: u16 = 26379;
const CLUSTER_PORT: u16 = 6379;

/// The addresses of the servers, and the settings of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// The settings of a connection. Only for a single server its address is the real one.
    pub(crate) template: ConnectionInfo,
    pub(crate) topology: Topology,
}

/// The way to find the server for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Topology {
    /// A single server has all keys.
    One,
    /// The Sentinels report the primary of the service. A Sentinel that asks for a password gets
    /// the user and password of `sign_in`.
    Sentinel { seeds: Vec<Host>, service: String, sign_in: SignIn },
    /// Any of the nodes reports the servers of the cluster.
    Cluster { seeds: Vec<Host> },
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SignIn {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Host(pub(crate) String, pub(crate) u16);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

impl Endpoint {
    /// Parses a URL. The error never contains the URL, which may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        if url.starts_with("rediss") && cfg!(not(feature = "tls")) {
            return Err(Error::unsupported(
                "the Redis URL asks for TLS (rediss): switch on the feature `tls` of poolder",
            ));
        }
        let (base, options) = Options::split(url);
        let is_encrypted = url.starts_with("rediss") || url.starts_with("valkeys");
        for (scheme, plain) in [("redis+", "redis"), ("rediss+", "rediss")] {
            if let Some(rest) = base.strip_prefix(scheme) {
                if let Some(rest) = rest.strip_prefix("sentinel://") {
                    options.refuse_all_but(&SENTINEL_OPTIONS, is_encrypted)?;
                    return Self::sentinel(plain, rest, &options);
                }
                if let Some(rest) = rest.strip_prefix("cluster://") {
                    options.refuse_all_but(&[], is_encrypted)?;
                    return Self::cluster(plain, rest, &options);
                }
            }
        }
        let is_socket = base.split_once("://").is_some_and(|(scheme, _)| scheme.ends_with("unix"));
        options.refuse_all_but(if is_socket { &SOCKET_OPTIONS } else { &[] }, is_encrypted)?;
        Ok(Self { template: template(url)?, topology: Topology::One })
    }

    fn sentinel(scheme: &str, rest: &str, options: &Options<'_>) -> Result<Self, Error> {
        let [user_option, password_option] = SENTINEL_OPTIONS;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (service, db) = path.split_once('/').unwrap_or((path, "0"));
        if service.is_empty() {
            return Err(unusable("name the service: redis+sentinel://host:26379/service"));
        }
        let (user, seeds) = seeds(authority, SENTINEL_PORT)?;
        let template = template(&format!("{scheme}://{user}host/{db}{}", options.fragment))?;
        let given = [user_option, password_option].map(|name| options.get(name));
        let sign_in = match given {
            [None, None] => SignIn::of(&template),
            [_, None] => return Err(unusable("sentinel_user needs sentinel_password")),
            [user, Some(password)] => SignIn::decoded(user.unwrap_or(""), password)?,
        };
        let service = service.into();
        Ok(Self { template, topology: Topology::Sentinel { seeds, service, sign_in } })
    }

    fn cluster(scheme: &str, rest: &str, options: &Options<'_>) -> Result<Self, Error> {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() && path != "0" {
            return Err(unusable("a cluster has only database 0"));
        }
        let (user, seeds) = seeds(authority, CLUSTER_PORT)?;
        let template = template(&format!("{scheme}://{user}host/{}", options.fragment))?;
        Ok(Self { template, topology: Topology::Cluster { seeds } })
    }

    /// Returns the settings of a connection to `host`, equal to the template otherwise.
    pub(crate) fn to(&self, host: &Host) -> ConnectionInfo {
        let address = match self.template.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host: host.0.clone(),
                port: host.1,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.0.clone(), host.1),
        };
        self.template.clone().set_addr(address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |seeds: &[Host]| seeds.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        match &self.topology {
            Topology::One => write!(f, "{}", self.template.addr()),
            Topology::Sentinel { seeds, service, .. } => {
                write!(f, "{service} by the Sentinels {}", list(seeds))
            }
            Topology::Cluster { seeds } => write!(f, "the cluster of {}", list(seeds)),
        }
    }
}

impl SignIn {
    fn of(template: &ConnectionInfo) -> Self {
        let settings = template.redis_settings();
        let [user, password] =
            [settings.username(), settings.password()].map(|text| text.map(str::to_owned));
        Self { user, password }
    }

    /// Returns the settings of a connection, `None` without a password.
    pub(crate) fn settings(&self) -> Option<RedisConnectionInfo> {
        let settings = RedisConnectionInfo::default().set_password(self.password.as_ref()?);
        Some(match &self.user {
            Some(user) => settings.set_username(user),
            None => settings,
        })
    }

    /// Decodes the values of options.
    fn decoded(user: &str, password: &str) -> Result<Self, Error> {
        // These characters may stand in an option, and would end the part of a URL with the user.
        let [user, password] = [user, password].map(|text| {
            text.replace(':', "%3A").replace('@', "%40").replace('/', "%2F").replace('?', "%3F")
        });
        Ok(Self::of(&template(&format!("redis://{user}:{password}@host/"))?))
    }
}

/// The options of a URL: the pairs after its `?`, as they are encoded.
struct Options<'a> {
    pairs: Vec<(&'a str, &'a str)>,
    /// The part after `#`, with it; empty if there is none.
    fragment: &'a str,
}

impl<'a> Options<'a> {
    /// Splits a URL into the part before the options, and the options.
    fn split(url: &'a str) -> (&'a str, Self) {
        let (url, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
        let (base, options) = url.split_once('?').unwrap_or((url, ""));
        let pairs = options.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        (base, Self { pairs, fragment })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// Refuses options without an effect, which would otherwise be found out much later.
    fn refuse_all_but(&self, known: &[&str], is_encrypted: bool) -> Result<(), Error> {
        if !self.fragment.is_empty() && !is_encrypted {
            return Err(unusable("a part after # has no effect; in a password, write %23 for #"));
        }
        let Some((name, _)) = self.pairs.iter().find(|(name, _)| !known.contains(name)) else {
            return Ok(());
        };
        if *name == "protocol" {
            return Err(unusable(
                "Poolder speaks RESP2 with every server: remove the option `protocol`",
            ));
        }
        // A password that is not encoded may look like an option.
        let is_secret =
            self.pairs.iter().any(|(name, value)| name.contains('@') || value.contains('@'));
        let shown = if is_secret { "one after ?" } else { name };
        Err(unusable(&format!(
            "the option {shown} is not known, remove it; in a password, write %3F for ?"
        )))
    }
}

/// Splits the authority into the user part, including its `@`, and the hosts.
fn seeds(authority: &str, port: u16) -> Result<(&str, Vec<Host>), Error> {
    let (user, hosts) = match authority.rfind('@') {
        Some(at) => authority.split_at(at + 1),
        None => ("", authority),
    };
    let hosts = hosts.split(',').map(|host| parse_host(host, port)).collect::<Result<_, _>>()?;
    Ok((user, hosts))
}

fn parse_host(text: &str, port: u16) -> Result<Host, Error> {
    // An IPv6 address contains colons and stands in brackets.
    let (host, rest) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().map_err(|_| unusable("a port is not a number"))?,
        None => port,
    };
    if host.is_empty() {
        return Err(unusable("a host is missing"));
    }
    Ok(Host(host.into(), port))
}

fn template(url: &str) -> Result<ConnectionInfo, Error> {
    url.into_connection_info().map_err(|error| unusable(error.category()))
}

fn unusable(why: &str) -> Error {
    Error::invalid(format!(
        "the Redis URL cannot be used ({why}): write redis://[user:password@]host[:port][/db], \
         unix:///path/to/socket, redis+sentinel://host:26379,…/service or redis+cluster://host,…"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Endpoint {
        Endpoint::parse(url).unwrap()
    }

    #[test]
    fn a_url_says_where_the_servers_are() {
        assert_eq!(parse("redis://h:1/2").topology, Topology::One);
        let found = parse("redis+sentinel://u:p@a,b:1,[::1]:2/mymaster/3");
        let seeds = vec![Host("a".into(), 26379), Host("b".into(), 1), Host("::1".into(), 2)];
        let sign_in = SignIn { user: Some("u".into()), password: Some("p".into()) };
        let service = "mymaster".into();
        assert_eq!(found.topology, Topology::Sentinel { seeds, service, sign_in });
        let settings = found.template.redis_settings();
        assert_eq!((settings.username(), settings.password()), (Some("u"), Some("p")));
        assert_eq!(settings.db(), 3);
        let found = parse("redis+cluster://a,b:7000");
        let seeds = vec![Host("a".into(), 6379), Host("b".into(), 7000)];
        assert_eq!(found.topology, Topology::Cluster { seeds });
        let to = found.to(&Host("c".into(), 9));
        assert_eq!(to.addr().to_string(), "c:9");
    }

    #[test]
    fn sentinels_may_have_another_user_and_password() {
        let sign_in = |url: &str| match parse(url).topology {
            Topology::Sentinel { sign_in, .. } => (sign_in.user, sign_in.password),
            other => panic!("{other:?}"),
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(sign_in("redis+sentinel://a/s"), (None, None));
        assert_eq!(sign_in("redis+sentinel://:p%40@a/s"), (None, some("p@")));
        let url = "redis+sentinel://u:p@a/s?sentinel_password=x%26y@/:%25";
        assert_eq!(sign_in(url), (None, some("x&y@/:%")));
        let url = "redis+sentinel://u:p@a/s/3?sentinel_user=o&sentinel_password=q";
        assert_eq!(sign_in(url), (some("o"), some("q")));
        assert_eq!(parse(url).template.redis_settings().db(), 3);
    }

    #[test]
    fn options_without_an_effect_are_refused() {
        for (url, advice) in [
            ("redis://h/?protocol=resp3", "remove the option `protocol`"),
            ("unix:///s?db=1&protocol=3", "remove the option `protocol`"),
            ("redis+sentinel://h/m?protocol=resp3", "remove the option `protocol`"),
            ("redis+cluster://h?protocol=resp2", "remove the option `protocol`"),
            ("redis://h/?timeout=5", "the option timeout is not known"),
            ("redis://h/?db=5", "the option db is not known"),
            ("redis+cluster://h?sentinel_password=p", "the option sentinel_password is not known"),
            ("redis+sentinel://h/m?sentinel_user=u", "sentinel_user needs sentinel_password"),
            ("redis://h/#insecure", "a part after # has no effect"),
        ] {
            let error = Endpoint::parse(url).unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains(advice), "{url}: {error}");
        }
        let found = parse("unix:///s?db=7&pass=p%40");
        assert_eq!(found.template.redis_settings().password(), Some("p@"));
        assert_eq!(found.template.redis_settings().db(), 7);
    }

    #[test]
    fn texts_hold_no_password() {
        for url in [
            "redis://u:pw@h",
            "redis+sentinel://u:pw@a/s",
            "redis+sentinel://a/s?sentinel_password=pw",
            "redis+cluster://u:pw@a",
        ] {
            let found = parse(url);
            assert!(!format!("{found} {:?}", found.topology).contains("pw"), "{url}");
        }
        for url in [
            "redis://u:a?pw@h",
            "redis://u:pw?a@h",
            "redis://u:a#pw@h",
            "redis+sentinel://u:x?y=pw&z@a/s",
            "redis+sentinel://a/s?sentinel_passwort=pw",
            "redis+sentinel://u:pw@a",
            "redis+cluster://u:pw@/",
            "redis+cluster://u:pw@a/1",
            "redis+sentinel://u:pw@a:x/s",
            "http://u:pw@a",
            "",
        ] {
            let error = Endpoint::parse(url).unwrap_err();
            assert!(error.is_invalid() && !error.to_string().contains("pw"), "{error}");
        }
    }
}
