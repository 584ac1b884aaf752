//! Where a request comes from: the peer of the connection, or what a trusted proxy says of it.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::HeaderMap;
use ipnet::IpNet;
use thiserror::Error;

/// The header in which proxies append who connected to them.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The peer of a connection; put into each request by the accept loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Proxies whose word about a client's address is taken. Nobody's is unless configured, since
/// anybody can send the header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(r#"{0:?} is no address and no network such as "10.0.0.0/8""#)]
pub struct InvalidNetwork(String);

impl TrustedProxies {
    /// These addresses and networks.
    ///
    /// # Errors
    /// If one can't be read.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, InvalidNetwork> {
        texts.iter().map(|text| network(text.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// The client's address: of those that the proxies name, from the nearest on, the first that
    /// isn't a trusted proxy.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().collect::<Vec<_>>();
        for line in lines.into_iter().rev() {
            for text in line.to_str().unwrap_or_default().rsplit(',') {
                // What can't be read was made up before the last proxy; nothing further counts.
                let Some(address) = forwarded(text.trim()) else { return client };
                client = address;
                if !self.trusts(client) {
                    return client;
                }
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let address = IpAddr::from_str(text).map(IpNet::from);
    address.or_else(|_| text.parse()).map_err(|_| InvalidNetwork(text.to_owned()))
}

/// An address as proxies write it: some with a port, some with brackets.
fn forwarded(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(text);
    let address = bare
        .parse()
        .ok()
        .or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

/// What limits count for an address: IPv6 clients have a whole /64 each.
pub(crate) fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().expect("a header"));
        }
        let trusted = TrustedProxies::parse(trusted).expect("networks");
        trusted.client(peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn nobody_is_believed_unless_configured() {
        assert_eq!(client(&[], "127.0.0.1", &["1.2.3.4"]), "127.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "9.9.9.9", &["1.2.3.4"]), "9.9.9.9");
    }

    #[test]
    fn the_nearest_address_that_is_no_proxy_is_the_client() {
        let proxies = ["10.0.0.0/8", "::1"];
        let cases = [
            (&["1.2.3.4"][..], "1.2.3.4"),
            // What a client made up stands to the left.
            (&["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            (&["6.6.6.6, 1.2.3.4, 10.9.9.9"], "1.2.3.4"),
            (&["6.6.6.6", "1.2.3.4, 10.9.9.9"], "1.2.3.4"),
            (&["1.2.3.4:5678"], "1.2.3.4"),
            (&["[2001:db8::1]:80"], "2001:db8::1"),
            (&["::ffff:1.2.3.4"], "1.2.3.4"),
            (&["1.2.3.4, nonsense"], "10.0.0.1"),
            (&["nonsense, 10.2.2.2"], "10.2.2.2"),
            (&[""], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ];
        for (lines, expected) in cases {
            assert_eq!(client(&proxies, "10.0.0.1", lines), expected, "{lines:?}");
        }
        assert_eq!(client(&proxies, "::1", &["1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn networks_are_checked() {
        for bad in ["", "localhost", "10.0.0.0/33", "10.0.0"] {
            assert!(TrustedProxies::parse(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_ipv6_client_counts_as_its_network() {
        let count = |text: &str| counted(text.parse().expect("an address")).to_string();
        assert_eq!(count("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(count("1.2.3.4"), "1.2.3.4");
    }
}
