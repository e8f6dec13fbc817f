"""Several processes and threads, and Stripe's deliveries, at one payment: it is credited once, whoever is killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import stripe
from clock import Clock
from fake_stripe import FakeStripe, StripeFaults
from installation import SECRET, Installation, intent_of
from service import Service

from credit_wallet import CreditWallet
from credit_wallet.errors import PayBackNotAllowed, TopupInFlight

WORKERS = 4
DIES_BEFORE_IT_COMMITS = """
import os, signal
import credit_wallet.stores.sqlite.store as sqlite
sqlite.write_topups = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeStripe]:
    with FakeStripe(retry_seconds=(0.05,)) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    """Now: the service's processes have the real time."""
    return Clock(datetime.now(UTC))


@pytest.fixture
def open_another(db_url: str, fake: FakeStripe, clock: Clock) -> Iterator[Callable[..., Installation]]:
    """Opens the ledger once more, as another process does."""
    with ExitStack() as stack:

        def open_it(**settings: Any) -> Installation:
            wallets = stack.enter_context(CreditWallet.open(db_url, clock=clock))
            return Installation(wallets, fake, clock, **settings)

        yield open_it


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Do all of it at the same moment, each in a thread."""
    ready = threading.Barrier(len(acts))

    def act(what: Callable[[], object]) -> object:
        ready.wait()
        return what()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(act, acts))


def environment(url: str) -> dict[str, str]:
    """What a process needs to take payments from the fake of Stripe."""
    return {
        "CREDIT_WALLET_STRIPE_KEY": "sk_test_123",
        "CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS": SECRET,
        "CREDIT_WALLET_STRIPE_API_URL": url,
    }


def assert_paid_once(installation: Installation, wallet_id: int, *received_yen: int) -> None:
    """Stripe has these payments, and the ledger their credit, once."""
    assert [payment.received for payment in installation.made(wallet_id)] == list(received_yen)
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == sum(received_yen)
    assert installation.wallets.verify() == []


@pytest.mark.parametrize("_round", range(3))
def test_everybody_who_hears_of_a_payment_at_once_credits_it_once(
    open_another: Callable[..., Installation], _round: int
) -> None:
    """Concurrent deliveries credited twice (pollinations #11522, AutoGPT #10672)."""
    first, *others = [open_another() for _ in range(WORKERS)]
    wallet_id = first.owner()
    topup = first.request(wallet_id)
    first.fake.pay(intent_of(topup))
    event = first.fake.events("payment_intent.succeeded")[-1]
    at_once(
        *[partial(each.deliver, event) for each in (first, *others)],
        first.payments.reconcile,
        others[0].payments.reconcile,
        partial(others[1].payments.show, topup.topup_id),
        partial(others[2].payments.cancel, topup.topup_id),
    )
    assert_paid_once(first, wallet_id, 1_000)
    assert len(first.wallets.history(wallet_id)) == 1


def test_two_services_that_get_every_delivery_credit_once(
    db_url: str, fake: FakeStripe, open_another: Callable[..., Installation]
) -> None:
    """Concurrent deliveries credited twice (pollinations #11522, AutoGPT #10672)."""
    ours = open_another()
    wallet_id = ours.owner()
    topup = ours.request(wallet_id)
    with (
        Service(db_url, environment=environment(fake.url)) as one,
        Service(db_url, environment=environment(fake.url)) as other,
    ):
        hooks = [f"{service.url}/webhooks/stripe" for service in (one, other)]
        for hook in hooks:
            fake.send_webhooks_to(hook, SECRET)
        fake.pay(intent_of(topup))
        refund = fake.refund(intent_of(topup), 300)
        fake.settle_refund(refund, success=False)
        fake.refund(intent_of(topup), 100)
        ours.payments.reconcile()
        fake.wait_delivered()
        for hook in hooks:
            fake.stop_webhooks_to(hook)
        assert (one.stop(), other.stop()) == (0, 0)
    assert (ours.kept(wallet_id), ours.moved(wallet_id)) == (900, 900)
    assert len([entry for entry in ours.wallets.history(wallet_id) if entry.amount_yen == 1_000]) == 1
    assert ours.wallets.verify() == []


def test_two_workers_charge_a_saved_card_once(open_another: Callable[..., Installation]) -> None:
    """Bursts of recharges went out without a guard (recoupable #1858)."""
    workers = [open_another() for _ in range(WORKERS)]
    wallet_ids = [workers[0].payer() for _ in range(3)]
    done = at_once(*[each.payments.run_automatic for each in workers])
    for wallet_id in wallet_ids:
        assert_paid_once(workers[0], wallet_id, 50, 600)
        assert sum(each.status == "credited" for lines in done for each in lines if each.wallet_id == wallet_id) == 1  # type: ignore[attr-defined]


def test_two_processes_charge_a_saved_card_once(
    db_url: str, fake: FakeStripe, open_another: Callable[..., Installation]
) -> None:
    ours = open_another()
    wallet_id = ours.payer()
    command = [sys.executable, "-m", "credit_wallet.cli.app", "--db", db_url, "topups", "run"]
    variables = {**environment(fake.url), "PATH": ""}
    with fake.paused():  # both have asked before either is answered
        processes = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE) for _ in range(2)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert_paid_once(ours, wallet_id, 50, 600)


def test_the_owner_and_the_worker_do_not_pay_twice_for_one_gap(open_another: Callable[..., Installation]) -> None:
    owner, worker = open_another(), open_another()
    wallet_id = owner.payer()

    def ask() -> None:
        with suppress(TopupInFlight):
            owner.request(wallet_id, 600, "by hand")

    at_once(ask, worker.payments.run_automatic)
    assert_paid_once(worker, wallet_id, *[payment.received for payment in worker.made(wallet_id)])
    assert sum(payment.received for payment in worker.made(wallet_id)) == 650


def test_one_retry_at_a_time_makes_one_payment(open_another: Callable[..., Installation]) -> None:
    first, *others = [open_another() for _ in range(WORKERS)]
    wallet_id = first.owner()
    replies = at_once(*[partial(each.request, wallet_id) for each in (first, *others)])
    assert len({reply.payment_intent for reply in replies}) == 1  # type: ignore[attr-defined]
    assert len(first.made(wallet_id)) == 1


@pytest.mark.parametrize("same_key", [True, False])
def test_those_who_pay_back_at_once_stay_within_the_limit(
    open_another: Callable[..., Installation], clock: Clock, same_key: bool
) -> None:
    workers = [open_another(pay_back=True) for _ in range(WORKERS)]
    clock.set(clock().replace(month=2, day=15))
    topup = workers[0].pay(workers[0].owner(), 10_000)
    clock.set(clock().replace(month=6))

    def pay_back(number: int) -> None:
        with suppress(PayBackNotAllowed):
            key = "back" if same_key else f"back-{number}"
            workers[number].payments.pay_back(topup.topup_id, 1_500, idempotency_key=key)

    at_once(*[partial(pay_back, number) for number in range(WORKERS)])
    kept_yen = workers[0].kept(topup.wallet_id)
    assert kept_yen == workers[0].moved(topup.wallet_id)
    assert kept_yen in ((8_500,) if same_key else (8_500, 10_000))


@pytest.mark.parametrize("processed", [True, False])
def test_a_worker_that_is_killed_while_it_charges_has_charged_once(
    db_url: str,
    clock: Clock,
    faults: StripeFaults,
    open_another: Callable[..., Installation],
    processed: bool,
) -> None:
    ours = open_another()
    wallet_id = ours.payer()
    stall = faults.timeout_after_processing if processed else faults.timeout_before_processing
    stall(path="payment_intents", stall=True)
    with Service(db_url, environment=environment(faults.url)) as service:
        faults.wait_fired()
        service.kill()
    assert [topup.status for topup in ours.wallets.topups.list(wallet_id) if topup.origin == "auto"] == ["requested"]
    assert len(ours.made(wallet_id)) == (2 if processed else 1)
    clock.set(datetime.now(UTC) + timedelta(minutes=11))
    assert [each.status for each in ours.payments.run_automatic()] == ["topup_in_flight"]
    assert ours.payments.reconcile().problems == []
    assert_paid_once(ours, wallet_id, 50, 600)
    ours.hear(times=2)
    assert ours.payments.reconcile().changed == 0
    assert_paid_once(ours, wallet_id, 50, 600)


def test_a_service_that_is_killed_before_it_commits_credits_the_next_time(
    db_url: str, fake: FakeStripe, open_another: Callable[..., Installation]
) -> None:
    ours = open_another()
    wallet_id = ours.owner()
    topup = ours.request(wallet_id)
    with Service(db_url, environment=environment(fake.url), adjust=DIES_BEFORE_IT_COMMITS) as service:
        hook = f"{service.url}/webhooks/stripe"
        fake.send_webhooks_to(hook, SECRET)
        fake.pay(intent_of(topup))
        service.wait()
    assert ours.wallets.balance(wallet_id) == 0
    assert ours.wallets.topups.show(topup.topup_id).status == "pending"
    with Service(db_url, environment=environment(fake.url), port=service.port) as restarted:
        fake.wait_delivered()
        fake.stop_webhooks_to(hook)
        assert restarted.stop() == 0
    assert_paid_once(ours, wallet_id, 1_000)
    ours.hear()
    assert_paid_once(ours, wallet_id, 1_000)


def test_the_sdk_waits_for_the_same_request_of_another(
    fake: FakeStripe, faults: StripeFaults, clock: Clock, wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe answers 409 to the second of two requests under one name, while the first is under way."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.05)
    installation = Installation(wallets, fake, clock, api_url=faults.url)
    wallet_id = installation.payer()
    faults.duplicate(path="payment_intents", times=2)
    installation.payments.run_automatic()
    installation.hear()
    assert_paid_once(installation, wallet_id, 50, 600)
