//! Peers that are believed: an address, a network, or the unix sockets.

use std::net::IpAddr;

use crate::value::Problem;

/// One element of a list of trusted peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Whoever can connect to one of the unix sockets.
    Unix,
    /// Every address whose first `prefix` bits are those of `network`.
    Network {
        /// The network's address.
        network: IpAddr,
        /// Length of the common prefix in bits.
        prefix: u8,
    },
}

impl Peer {
    /// Whether a peer at `address` (`None`: a unix socket) is meant. An IPv4 address inside IPv6 counts as IPv4.
    pub fn matches(&self, address: Option<IpAddr>) -> bool {
        match (*self, address) {
            (Self::Unix, None) => true,
            (Self::Network { network, prefix }, Some(address)) => {
                common_prefix(network.to_canonical(), address.to_canonical())
                    .is_some_and(|bits| bits >= u32::from(prefix))
            }
            _ => false,
        }
    }
}

/// How many leading bits two addresses of one family share.
fn common_prefix(a: IpAddr, b: IpAddr) -> Option<u32> {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        _ => None,
    }
}

/// Reads `127.0.0.1, 10.0.0.0/8, unix`.
pub(crate) fn parse_list(text: &str) -> Result<Vec<Peer>, Problem> {
    text.split(',').map(|item| parse(item.trim())).collect()
}

fn parse(item: &str) -> Result<Peer, Problem> {
    if item == "unix" {
        return Ok(Peer::Unix);
    }
    let (address, prefix) = match item.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (item, None),
    };
    let network: IpAddr = address.parse().map_err(|_| not_a_peer(item))?;
    let longest = if network.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(prefix) => match prefix.parse() {
            Ok(bits) if bits <= longest => bits,
            _ => return Err(not_a_peer(item)),
        },
    };
    Ok(Peer::Network { network, prefix })
}

fn not_a_peer(item: &str) -> Problem {
    Problem::new(format!("`{item}` is not an address, a network or `unix`"))
        .help("write a list such as 127.0.0.1, 10.0.0.0/8, unix")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_peers_matches_what_it_names() {
        let peers = parse_list("127.0.0.1, 10.0.0.0/8,unix, fd00::/8").unwrap();
        let trusted = |address: &str| {
            let address = (!address.is_empty()).then(|| address.parse().unwrap());
            peers.iter().any(|peer| peer.matches(address))
        };
        for address in ["", "127.0.0.1", "10.255.0.1", "::ffff:10.0.0.1", "fd12::1"] {
            assert!(trusted(address), "{address}");
        }
        for address in ["127.0.0.2", "11.0.0.1", "::1", "fe80::1", "::ffff:11.0.0.1"] {
            assert!(!trusted(address), "{address}");
        }
    }

    #[test]
    fn everyone_is_a_network_too() {
        let peers = parse_list("0.0.0.0/0").unwrap();
        assert!(peers[0].matches(Some("8.8.8.8".parse().unwrap())));
        assert!(!peers[0].matches(Some("::1".parse().unwrap())));
        assert!(!peers[0].matches(None));
    }

    #[test]
    fn what_is_no_peer_is_refused() {
        for text in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0/8",
            "*",
            "unix,",
        ] {
            assert!(parse_list(text).is_err(), "{text}");
        }
    }
}
