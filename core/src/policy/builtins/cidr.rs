//! Networks of addresses, `10.0.0.0/8`.

use std::net::IpAddr;

/// The first address and the length of the prefix.
fn parse(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (length <= most).then_some((address, length))
}

fn in_prefix(address: IpAddr, network: (IpAddr, u32)) -> bool {
    match (address, network.0) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let shift = 32 - network.1;
            u32::from(a).checked_shr(shift).unwrap_or(0) == u32::from(b).checked_shr(shift).unwrap_or(0)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let shift = 128 - network.1;
            u128::from(a).checked_shr(shift).unwrap_or(0) == u128::from(b).checked_shr(shift).unwrap_or(0)
        }
        _ => false,
    }
}

/// Whether two networks have an address in common.
pub(super) fn intersects(a: &str, b: &str) -> Option<bool> {
    let (a, b) = (parse(a)?, parse(b)?);
    Some(in_prefix(a.0, b) || in_prefix(b.0, a))
}

/// Whether a network holds an address, or the whole of another network.
pub(super) fn contains_address(network: &str, what: &str) -> Option<bool> {
    let network = parse(network)?;
    if let Ok(address) = what.parse::<IpAddr>() {
        return Some(in_prefix(address, network));
    }
    let what = parse(what)?;
    Some(what.1 >= network.1 && in_prefix(what.0, network))
}
