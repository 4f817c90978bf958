//! Which addresses a receiver may be at: public ones, unless the configuration allows others.
//!
//! Names are judged by the addresses that they resolve to, at every connection, so that a name which changes its mind is
//! caught; redirects are not followed at all.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A receiver is at an address that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateTarget {
    /// The host's name, which is no secret.
    pub host: String,
}

impl fmt::Display for PrivateTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is a loopback, private, link-local or reserved address, or resolves to one; notify.allow_private_targets allows that",
            self.host
        )
    }
}

impl std::error::Error for PrivateTarget {}

/// Whether an address is one that anybody on the Internet would reach by it.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = matches!(
        (a, b, c),
        // This network, carrier-grade NAT, protocol assignments, benchmarks, documentation, multicast and beyond.
        (0 | 224..=255, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _)
    );
    !(reserved
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // IPv4 in other clothes: mapped, compatible (loopback and unspecified with it), NAT64, 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            v4(high, low)
        }
        [0x2002, high, low, ..] => v4(high, low),
        // Only global unicast is assigned; of it, documentation and the address blocks of protocols are not.
        [0x2001, 0x0db8 | 0..=0x01ff, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

/// Of the addresses that a host has, those that may be used.
///
/// # Errors
/// Where there are some, and none may be.
pub fn allowed(
    host: &str,
    addresses: impl IntoIterator<Item = SocketAddr>,
    allow_private: bool,
) -> Result<Vec<SocketAddr>, PrivateTarget> {
    let allowed: Vec<SocketAddr> = addresses
        .into_iter()
        .filter(|address| allow_private || is_public(address.ip()))
        .collect();
    if allowed.is_empty() {
        return Err(PrivateTarget {
            host: host.to_owned(),
        });
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "::127.0.0.1",
            "fec0::1",
            "2001::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn a_name_with_one_public_address_is_reached_there() {
        let addresses: Vec<SocketAddr> = ["10.0.0.1:443", "1.1.1.1:443"]
            .map(|text| text.parse().unwrap())
            .into();
        assert_eq!(
            allowed("h", addresses.clone(), false).unwrap(),
            addresses[1..]
        );
        assert_eq!(allowed("h", addresses.clone(), true).unwrap(), addresses);
        assert!(allowed("h", addresses[..1].to_vec(), false).is_err());
    }
}
