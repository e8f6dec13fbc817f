"""Where a webhook may go: every special-purpose range is somebody's own network, however it is written.

The kind is "an address that is taken for public because a list was shorter than IANA's". Its siblings, all below: the
first and last address of each range and the public neighbours of it; the same ranges mapped into IPv6, behind NAT64 and
as 6to4; IPv6 outside 2000::/3, site-local and translated forms included.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_wallet.delivery.addresses import is_public

NOT_PUBLIC_4 = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4",
]  # fmt: skip
PUBLIC_4 = [
    "1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0",
    "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255",
    "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
]  # fmt: skip
NOT_PUBLIC_6 = [
    "::/128", "::1/128", "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23",
    "2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "3fff::/20",
    "4000::/3", "5f00::/16", "6000::/3", "8000::/3", "a000::/3", "c000::/3", "e000::/4", "f000::/5", "f800::/6",
    "fc00::/7", "fe00::/9", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip
PUBLIC_6 = ["2000::1", "2001:200::", "2001:db7:ffff::", "2001:db9::", "2606:4700::1111", "3ffe::1", "3fff:1000::"]


def wrapped(address: IPv4Address) -> list[IPv6Address]:
    """An IPv4 address as it can be written in IPv6."""
    number = int(address)
    return [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
        IPv6Address((0x2002 << 112) | (number << 80) | 1),
    ]


@pytest.mark.parametrize("network", NOT_PUBLIC_4)
def test_no_address_of_a_special_purpose_range_is_public(network: str) -> None:
    addresses = IPv4Network(network)
    for address in (addresses[0], addresses[1], addresses[-1]):
        assert not is_public(address)
        assert not any(map(is_public, wrapped(address)))


@pytest.mark.parametrize("network", NOT_PUBLIC_6)
def test_no_address_of_a_special_purpose_range_of_ipv6_is_public(network: str) -> None:
    addresses = IPv6Network(network)
    assert not is_public(addresses[0])
    assert not is_public(addresses[-1])


@pytest.mark.parametrize("text", PUBLIC_4)
def test_the_neighbours_of_the_ranges_are_public(text: str) -> None:
    address = IPv4Address(text)
    assert is_public(address)
    assert all(map(is_public, wrapped(address)))


@pytest.mark.parametrize("text", PUBLIC_6)
def test_unicast_addresses_of_ipv6_are_public(text: str) -> None:
    assert is_public(ip_address(text))


def test_an_interface_behind_an_address_changes_nothing() -> None:
    assert not is_public(ip_address("fe80::1%eth0"))
    assert not is_public(ip_address("fec0::1%1"))


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_every_address_is_public_or_in_a_range_whatever_wraps_it(address: IPv4Address) -> None:
    expected = not any(address in IPv4Network(network) for network in NOT_PUBLIC_4)
    assert is_public(address) is expected
    assert {is_public(form) for form in wrapped(address)} == {expected}
