"""``POST /credit/charge`` through the real service: 64 keep-alive connections, load generator on the same machine.

    python benchmarks/http_charges.py [--smoke] [--json FILE] [--seconds S] [--data DIR] [--generator wrk|built-in]

In the same run: the documented route without the fast lane in front of it, and a handler that stores nothing, as the
ceiling. Afterwards the ledgers are verified and compared with what was answered.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import apsw
from http_load import CONNECTIONS, Generator, Load, by_asyncio, by_wrk, wrk_is_there
from http_service import BARE, DOCUMENTED, SERVICE
from ledgers import entries, ledger
from reporting import Figure, add_data_option, parser, publish

from credit_wallet import CreditWallet
from credit_wallet.cli.bench import ROUNDS, durability
from credit_wallet.cli.workloads import CREDIT_YEN, WALLETS

MANY = 1_000
START_ROUNDS = 5
START_SECONDS = 30.0
STOP_SECONDS = 10.0
TARGET = ">= 10,000/s, p99 < 25 ms"


class Service(NamedTuple):
    """A running process and where it listens."""

    process: subprocess.Popen[bytes]
    port: int


def main() -> None:
    options = parser("Charges over HTTP.")
    options.add_argument("--generator", choices=("wrk", "built-in"), help="default: wrk when it is installed")
    options.add_argument("--rows", type=int, default=10_000_000, help="entries of the long ledger (with --data)")
    add_data_option(options)
    given = options.parse_args()
    many = 20 if given.smoke else MANY
    rounds = 1 if given.smoke else ROUNDS
    seconds = 0.3 if given.smoke else (given.seconds or 15.0) / rounds
    with_wrk = given.generator == "wrk" or (given.generator is None and wrk_is_there() and not given.smoke)
    generate = by_wrk if with_wrk else by_asyncio
    with TemporaryDirectory(prefix="credit-wallet-bench-") as name:
        folder = Path(name)
        for mode in (SERVICE, DOCUMENTED):
            _create_wallets(folder / f"{mode}.db", many, folder / f"{mode}.tokens")
        loads, memory_mb = _measure(folder, generate, seconds, rounds, many)
        for mode in (SERVICE, DOCUMENTED):
            charging = [load for case, each in loads.items() if case[0] == mode for load in each]
            _verify(folder / f"{mode}.db", charging, unread=len(charging) * CONNECTIONS if with_wrk else 0)
        figures = _figures(loads, many)
        figures.append(Figure("memory of the service after the load", memory_mb, "MB", "< 200 MB", detail="peak RSS"))
        figures.append(_start(folder / f"{SERVICE}.db", 1 if given.smoke else START_ROUNDS))
        if given.data is not None and not given.smoke:
            given.data.mkdir(parents=True, exist_ok=True)
            figures.append(_start(ledger(given.data, wallets=WALLETS, charges=given.rows - WALLETS), START_ROUNDS))
        generator = "wrk" if with_wrk else "built-in generator"
        settings = f"{durability(folder / f'{SERVICE}.db')}; {CONNECTIONS} connections, {generator}"
    publish("POST /credit/charge", settings, figures, given.json)


def _create_wallets(path: Path, count: int, tokens: Path) -> None:
    """Wallets with credit, and their owner tokens in a file; beside it a file with the first one alone."""
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        created = [wallets.create() for _ in range(count)]
        for wallet in created:
            wallets.topup(wallet.wallet_id, CREDIT_YEN, idempotency_key="credit")
    tokens.write_text("".join(f"{wallet.owner_token}\n" for wallet in created))
    tokens.with_suffix(".token").write_text(f"{created[0].owner_token}\n")


Case = tuple[str, int]
"""A mode of the service and how many wallets are charged."""


def _measure(
    folder: Path, generate: Generator, seconds: float, rounds: int, many: int
) -> tuple[Mapping[Case, list[Load]], float]:
    """Rounds of every case, taking turns, after one that is not counted in the figures but is in the ledger."""
    cases: list[Case] = [(BARE, 1), (SERVICE, 1), (SERVICE, many), (DOCUMENTED, 1), (DOCUMENTED, many)]
    loads: dict[Case, list[Load]] = {case: [] for case in cases}
    with ExitStack() as stack:
        services = {
            mode: stack.enter_context(_running(mode, folder / f"{mode}.db")) for mode in (BARE, SERVICE, DOCUMENTED)
        }
        for service in services.values():
            _wait_until_ready(service)
        for _ in range(rounds + 1):
            for mode, wallets in cases:
                tokens = folder / f"{DOCUMENTED if mode == DOCUMENTED else SERVICE}.tokens"
                tokens = tokens if wallets > 1 else tokens.with_suffix(".token")
                loads[mode, wallets].append(generate(services[mode].port, tokens, seconds))
        memory_mb = _peak_memory_mb(services[SERVICE].process.pid)
    return loads, memory_mb


@contextmanager
def _running(mode: str, path: Path) -> Iterator[Service]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, str(Path(__file__).with_name("http_service.py")), mode, str(port), str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield Service(process, port)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:  # a job of the worker is long on a generated ledger, which has no seals yet
        process.kill()


def _wait_until_ready(service: Service) -> None:
    process, port = service
    deadline = perf_counter() + START_SECONDS
    while perf_counter() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=START_SECONDS):
                return
        except urllib.error.URLError:
            time.sleep(0.005)
    raise RuntimeError("the service did not start")


def _verify(path: Path, loads: list[Load], *, unread: int) -> None:
    """The ledger is sound, and has a charge for every 200; ``unread`` more can have gone unanswered as rounds ended."""
    not_200 = sum(load.not_200 for load in loads)
    answered = sum(load.requests for load in loads) - not_200
    connection = apsw.Connection(str(path))
    charges: int = connection.execute("SELECT count(*) FROM am_credit_transaction_log WHERE txn_type = 'charge'").get
    connection.close()
    assert answered <= charges <= answered + unread, (answered, charges)
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        violations = wallets.verify()
    assert not violations, violations[:3]


def _figures(loads: Mapping[Case, list[Load]], many: int) -> list[Figure]:
    rates = {case: median(load.requests / load.seconds for load in each[1:]) for case, each in loads.items()}
    names = {BARE: "a handler without storage", SERVICE: "charge", DOCUMENTED: "charge, without the fast lane"}
    figures = []
    for case, each in loads.items():
        mode, wallets = case
        p50_ms, p99_ms = median(load.p50_ms for load in each[1:]), median(load.p99_ms for load in each[1:])
        name = (
            names[mode] if mode == BARE else f"{names[mode]}, {'one wallet' if wallets == 1 else f'{many:,} wallets'}"
        )
        beside = (BARE, 1) if mode == SERVICE else (SERVICE, wallets)
        figures.append(
            Figure(
                name,
                rates[case],
                "requests/s",
                TARGET if mode == SERVICE else "",
                None if mode == BARE else round(rates[case] / rates[beside], 2),
                "" if mode == BARE else names[beside[0]],
                f"p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, {sum(load.not_200 for load in each)} not 200",
            )
        )
    return figures


def _start(path: Path, rounds: int) -> Figure:
    """From starting the process, Python included, to the first answer that it is ready."""
    seconds = []
    for _ in range(rounds):
        started = perf_counter()
        with _running(SERVICE, path) as service:
            _wait_until_ready(service)
            seconds.append(perf_counter() - started)
    size = path.stat().st_size / 1e9
    return Figure(
        f"start on a database of {size:.2f} GB",
        median(seconds),
        "s",
        "< 1 s",
        detail=f"{entries(path):,} entries; slowest of {rounds}: {max(seconds):.2f} s",
    )


def _peak_memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1_000
    raise RuntimeError("the kernel does not tell VmHWM")


if __name__ == "__main__":
    main()
