//! [`Endpoint`]: the parsed URL. It names one server, the Sentinels that report a primary, or the
//! nodes of a cluster.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::job::Error;

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
    /// The Sentinels report the primary of the service.
    Sentinel { seeds: Vec<Host>, service: String },
    /// Any of the nodes reports the servers of the cluster.
    Cluster { seeds: Vec<Host> },
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
        for (scheme, plain) in [("redis+", "redis"), ("rediss+", "rediss")] {
            if let Some(rest) = url.strip_prefix(scheme) {
                if let Some(rest) = rest.strip_prefix("sentinel://") {
                    return Self::sentinel(plain, rest);
                }
                if let Some(rest) = rest.strip_prefix("cluster://") {
                    return Self::cluster(plain, rest);
                }
            }
        }
        Ok(Self { template: template(url)?, topology: Topology::One })
    }

    fn sentinel(scheme: &str, rest: &str) -> Result<Self, Error> {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (service, db) = path.split_once('/').unwrap_or((path, "0"));
        if service.is_empty() {
            return Err(unusable("name the service: redis+sentinel://host:26379/service"));
        }
        let (user, seeds) = seeds(authority, SENTINEL_PORT)?;
        let template = template(&format!("{scheme}://{user}host/{db}"))?;
        Ok(Self { template, topology: Topology::Sentinel { seeds, service: service.into() } })
    }

    fn cluster(scheme: &str, rest: &str) -> Result<Self, Error> {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() && path != "0" {
            return Err(unusable("a cluster has only database 0"));
        }
        let (user, seeds) = seeds(authority, CLUSTER_PORT)?;
        let template = template(&format!("{scheme}://{user}host/"))?;
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
            Topology::Sentinel { seeds, service } => {
                write!(f, "{service} by the Sentinels {}", list(seeds))
            }
            Topology::Cluster { seeds } => write!(f, "the cluster of {}", list(seeds)),
        }
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
        assert_eq!(found.topology, Topology::Sentinel { seeds, service: "mymaster".into() });
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
    fn texts_hold_no_password() {
        for url in ["redis://u:pw@h", "redis+sentinel://u:pw@a/s", "redis+cluster://u:pw@a"] {
            assert!(!parse(url).to_string().contains("pw"), "{url}");
        }
        for url in [
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
