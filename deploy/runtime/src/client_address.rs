//! Whose request it is by address: the peer of the connection, or, where that is one of our own proxies, whom the proxy names.
//! The edge layer works it out once and leaves it in the request's extensions as [`ClientAddress`]; limits are counted by it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// A longer chain of proxies is nobody's; what is further left is not looked at.
const LONGEST_CHAIN: usize = 32;

/// The other end of the connection, as the server saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(IpAddr);

impl Peer {
    pub(crate) fn of(socket: SocketAddr) -> Self {
        Self(canonical(socket.ip()))
    }

    pub(crate) fn address(self) -> ClientAddress {
        ClientAddress(self.0)
    }
}

/// The address a request comes from, as far as it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// A client at this address; an IPv4 address written as an IPv6 one is the IPv4 one.
    pub fn new(address: IpAddr) -> Self {
        Self(canonical(address))
    }

    /// The address.
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// What is counted as one client: an IPv4 address, or the /64 an IPv6 address is in, which one subscriber has to themselves.
    pub fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => {
                let subscriber = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(subscriber))
            }
        }
    }
}

/// The proxies whose `X-Forwarded-For` is believed: addresses and networks separated by commas; by default none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[IpNet]>);

/// Text that names no address and no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network such as 10.0.0.0/8")]
pub struct NoNetwork(String);

impl FromStr for TrustedProxies {
    type Err = NoNetwork;

    fn from_str(list: &str) -> Result<Self, NoNetwork> {
        let named = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        named.map(network).collect::<Result<Vec<_>, _>>().map(|networks| Self(networks.into()))
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(","))
    }
}

impl TrustedProxies {
    /// Whether an address is one of them.
    pub fn contains(&self, address: ClientAddress) -> bool {
        self.0.iter().any(|network| network.contains(&address.0))
    }

    /// The client behind `peer`: its chain is walked from the right, where our own proxies wrote, and the first address that is
    /// not one of theirs is the client. What stands left of it anybody may have written.
    pub fn client(&self, peer: ClientAddress, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer;
        // Several lines are one list, the last line its end.
        let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
        let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops.take(LONGEST_CHAIN) {
            if !self.contains(client) {
                break;
            }
            // A proxy of ours that writes nonsense tells us nothing further: then it is the client.
            let Some(named) = std::str::from_utf8(hop).ok().and_then(|hop| address(hop.trim())) else { break };
            client = named;
        }
        client
    }
}

fn network(name: &str) -> Result<IpNet, NoNetwork> {
    let one = || name.parse::<IpAddr>().map(IpNet::from).ok();
    name.parse().ok().or_else(one).ok_or_else(|| NoNetwork(name.to_owned()))
}

/// An address as proxies write it: bare, with a port, or an IPv6 address in brackets with or without one.
fn address(text: &str) -> Option<ClientAddress> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    text.parse().ok().or_else(with_port).or_else(bracketed).map(ClientAddress::new)
}

/// An IPv4 address that came through an IPv6 socket is the same client.
fn canonical(address: IpAddr) -> IpAddr {
    let mapped = |v6: Ipv6Addr| v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), |v4: Ipv4Addr| IpAddr::V4(v4));
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => mapped(v6),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(trusted: &str, peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let trusted: TrustedProxies = trusted.parse().unwrap();
        let peer = Peer::of(SocketAddr::new(peer.parse().unwrap(), 4711));
        trusted.client(peer.address(), &headers).ip().to_string()
    }

    #[test]
    fn the_chain_is_walked_from_the_right_and_ends_at_the_first_stranger() {
        const PROXIES: &str = "10.0.0.0/8, 192.0.2.7, fd00::/8";
        for (why, trusted, peer, lines, expected) in [
            ("no proxy is trusted", "", "10.0.0.1", &["198.51.100.1"][..], "10.0.0.1"),
            ("the peer is a stranger", PROXIES, "203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("a proxy says nothing", PROXIES, "10.0.0.1", &[], "10.0.0.1"),
            ("one proxy", PROXIES, "10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("two proxies", PROXIES, "10.0.0.1", &["198.51.100.1, 192.0.2.7"], "198.51.100.1"),
            ("the client wrote the left", PROXIES, "10.0.0.1", &["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
            ("it claims to be a proxy", PROXIES, "10.0.0.1", &["10.9.9.9, 198.51.100.1"], "198.51.100.1"),
            ("the claim is in a line of its own", PROXIES, "10.0.0.1", &["1.2.3.4", "198.51.100.1"], "198.51.100.1"),
            ("everybody is a proxy", PROXIES, "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("nonsense from a proxy", PROXIES, "10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            (
                "a word of no alphabet we know left of the client",
                PROXIES,
                "10.0.0.1",
                &["é, 198.51.100.1"],
                "198.51.100.1",
            ),
            ("the same in the place of the client", PROXIES, "10.0.0.1", &["198.51.100.1, é"], "10.0.0.1"),
            ("nonsense left of the client", PROXIES, "10.0.0.1", &["<script>, 198.51.100.1"], "198.51.100.1"),
            ("an empty place", PROXIES, "10.0.0.1", &["198.51.100.1,"], "10.0.0.1"),
            ("a port", PROXIES, "10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("IPv6", PROXIES, "fd00::1", &["2001:db8::7"], "2001:db8::7"),
            ("IPv6 in brackets", PROXIES, "10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("IPv6 with a port", PROXIES, "10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("an IPv4 peer on an IPv6 socket", PROXIES, "::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("an IPv4 hop written as IPv6", PROXIES, "10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
        ] {
            assert_eq!(client(trusted, peer, lines), expected, "{why}");
        }
    }

    #[test]
    fn an_endless_chain_is_not_walked_to_its_end() {
        let chain = vec!["10.0.0.2"; 10_000].join(", ");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[&format!("198.51.100.1, {chain}")]), "10.0.0.2");
    }

    #[test]
    fn an_ipv6_subscriber_is_one_client_whatever_the_last_half() {
        let network = |text: &str| ClientAddress::new(text.parse().unwrap()).network().to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:2:ffff::"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:3::1"), network("2001:db8:1:2::1"));
        assert_eq!(network("198.51.100.1"), "198.51.100.1");
        assert_eq!(network("::ffff:198.51.100.1"), "198.51.100.1", "not the /64 all of IPv4 is in");
    }

    #[test]
    fn what_is_no_network_is_refused_by_name() {
        for bad in ["proxy", "10.0.0.0/33", "10.0.0", "10.0.0.1,nginx"] {
            assert!(bad.parse::<TrustedProxies>().is_err(), "{bad}");
        }
        assert!("proxy".parse::<TrustedProxies>().unwrap_err().to_string().contains("`proxy`"));
        assert_eq!(" 10.0.0.0/8 ,::1 ".parse::<TrustedProxies>().unwrap().to_string(), "10.0.0.0/8,::1/128");
    }
}
