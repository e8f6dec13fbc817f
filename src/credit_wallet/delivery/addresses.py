"""Which internet addresses are the public internet's, and which lead into somebody's own network. Pure.

The tables are those of IANA's special-purpose address registries (RFC 6890 and its updates), with what was withdrawn
since (site-local addresses, RFC 3879; 6to4 relays, RFC 7526). They are written out because Python's ``is_global``
differs from release to release.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private use
            "100.64.0.0/10",  # shared by customers of a provider (CGN)
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link local, the metadata services of clouds
            "172.16.0.0/12",  # private use
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays, withdrawn
            "192.168.0.0/16",  # private use
            "198.18.0.0/15",  # benchmarking
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
_UNICAST_6 = IPv6Network("2000::/3")
"""All that is given out to the public internet; the rest of the address space is local, reserved or wraps IPv4."""

_NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID, drones
            "2001:db8::/32",  # documentation
            "3fff::/20",  # documentation
        ),
    )
)
_IPV4_AT_THE_END = (
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped, RFC 4291
    IPv6Network("64:ff9b::/96"),  # NAT64, RFC 6052
)
_6TO4 = IPv6Network("2002::/16")
"""RFC 3056: the 32 bits after the prefix are the IPv4 address of the router that unwraps it."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the public internet's; what wraps an IPv4 address counts as that one."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    inner = _wrapped(address)
    if inner is not None:
        return is_public(inner)
    return address in _UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    if any(address in network for network in _IPV4_AT_THE_END):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _6TO4:
        return IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    return None
