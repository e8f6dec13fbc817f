"""Names of receivers: looked up once for all, held up by no silent name server, connected to where they led."""

from __future__ import annotations

import asyncio
import threading
from ipaddress import ip_address

import pytest
from notified import notifier_of, told_of_charges, within
from receivers import Receiver

from credit_wallet import CreditWallet
from credit_wallet.delivery.connections import CheckedConnections
from credit_wallet.delivery.names import Addresses, Names, domain_of
from credit_wallet.delivery.outbound import NotDelivered

KNOWN: dict[str, Addresses] = {"one.example": (ip_address("192.0.2.1"),), "late.example": ()}


def test_a_name_is_looked_up_once_for_all_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    late = threading.Event()

    def find(host: str) -> Addresses:
        asked.append(host)
        if host == "late.example":
            late.wait(30)
        return () if host == "unknown.example" else KNOWN[host]

    async def look_up() -> None:
        names = Names(find)
        several = await asyncio.gather(*(names.addresses("one.example") for _ in range(5)))
        assert set(several) == {KNOWN["one.example"]}
        for _ in range(2):
            with pytest.raises(NotDelivered, match="is not known"):
                await names.addresses("unknown.example")
        monkeypatch.setattr("credit_wallet.delivery.names.LOOKUP_SECONDS", 0.05)
        for _ in range(2):
            with pytest.raises(NotDelivered, match="is not known"):
                await names.addresses("late.example")
        assert asked == ["one.example", "unknown.example", "late.example"]
        assert str((await names.addresses("192.0.2.7"))[0]) == "192.0.2.7"
        late.set()
        names.close()

    asyncio.run(look_up())


def test_a_domain_with_any_number_of_names_that_nobody_answers_for_holds_up_no_other() -> None:
    """Whoever has a name server that says nothing can make up a name for each notice."""
    silent = threading.Event()

    def find(host: str) -> Addresses:
        if host.endswith("silent.example"):
            silent.wait(30)
            return ()
        return KNOWN["one.example"]

    async def look_up() -> None:
        names = Names(find)
        waiting = [asyncio.create_task(names.addresses(f"{number}.silent.example")) for number in range(200)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(names.addresses("one.test"), 2) == KNOWN["one.example"]
        for task in waiting:  # as when others wait for their place
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        silent.set()
        names.close()
        within(10, lambda: not names._under_way and not names._of_domains)

    asyncio.run(look_up())


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("a.b.example.com", "example.com"),
        ("Hooks.Example.co.jp.", "example.co.jp"),
        ("example.jp", "example.jp"),
        ("hooks.example.jp", "example.jp"),
        ("localhost", "localhost"),
    ],
)
def test_a_domain_is_what_somebody_has_registered(host: str, domain: str) -> None:
    assert domain_of(host) == domain


def test_a_name_is_connected_to_at_the_address_that_was_looked_at_and_stays_in_the_request(
    wallets: CreditWallet, endpoint: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = endpoint.url.rpartition(":")[2]
    found = iter([(ip_address("127.0.0.1"),), (ip_address("192.0.2.1"),)])
    monkeypatch.setattr("credit_wallet.delivery.sender.Names", lambda: Names(lambda _: next(found)))
    told_of_charges(wallets, f"http://hooks.example:{port}/path")
    assert notifier_of(wallets).deliver() == 1
    assert endpoint.received[0].headers["host"] == f"hooks.example:{port}"


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("8.8.8.8", "::1")])
def test_a_name_of_which_one_address_is_private_is_not_connected_to(addresses: tuple[str, ...]) -> None:
    async def connect() -> None:
        names = Names(lambda _: tuple(map(ip_address, addresses)))
        with pytest.raises(NotDelivered, match="private network"):
            await CheckedConnections(names, private=False).connect_tcp("hooks.example", 9, 1.0)
        names.close()

    asyncio.run(connect())
