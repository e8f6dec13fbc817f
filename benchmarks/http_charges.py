"""``POST /credit/charge`` through the real service: 64 keep-alive connections, load generator on the same machine.

    python benchmarks/http_charges.py [--smoke] [--json FILE] [--seconds S] [--data DIR] [--generator wrk|built-in]

In the same run: a handler that stores nothing on the same server, as the limit, the documented route without the fast
lane in front of it, and lists of 1,000 over HTTP beside the library's. CPU is that of the service's process. Afterwards
the ledgers are verified and compared with what was answered.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import apsw
from http_lists import LIST, over_http
from http_load import CONNECTIONS, Generator, Load, by_asyncio, by_wrk, wrk_is_there
from http_service import BARE, DOCUMENTED, SERVICE
from ledgers import entries, ledger
from reporting import Figure, add_data_option, in_turns, parser, publish

from credit_wallet import CreditWallet
from credit_wallet.cli.bench import ROUNDS, durability
from credit_wallet.cli.workloads import CREDIT_YEN, WALLETS, Workload, in_batches, plain_charges

LIBRARY, LISTS = "library", "lists"
"""Lists of the library, and over HTTP."""

MANY = 1_000
START_ROUNDS = 5
START_SECONDS = 30.0
STOP_SECONDS = 10.0


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
        for mode in (SERVICE, DOCUMENTED, LIBRARY):
            _create_wallets(folder / f"{mode}.db", many, folder / f"{mode}.tokens")
        turns, answered, memory_mb = _measure(folder, generate, seconds, rounds, many)
        for mode, charges in answered.items():
            _verify(folder / f"{mode}.db", charges, unread=2 * (rounds + 1) * CONNECTIONS if with_wrk else 0)
        figures = _figures(turns, many)
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
"""A mode of the service, or of lists, and how many wallets are charged."""


class Turn(NamedTuple):
    """A round of a case. ``cpu_seconds`` are the service's."""

    load: Load
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.load.requests / self.load.seconds

    @property
    def cpu_us(self) -> float:
        """The service's CPU an answer, in microseconds."""
        return self.cpu_seconds / self.load.requests * 1e6


def _measure(
    folder: Path, generate: Generator, seconds: float, rounds: int, many: int
) -> tuple[dict[Case, list[Turn]], Counter[str], float]:
    """Turns of every case, how many charges each mode has answered, and the service's memory."""
    answered: Counter[str] = Counter()
    with ExitStack() as stack:
        services = {
            mode: stack.enter_context(_running(mode, folder / f"{mode}.db")) for mode in (BARE, SERVICE, DOCUMENTED)
        }
        for service in services.values():
            _wait_until_ready(service)

        def requests(mode: str, wallets: int) -> Turn:
            tokens = folder / f"{DOCUMENTED if mode == DOCUMENTED else SERVICE}.tokens"
            service, before = services[mode], _cpu_seconds(services[mode].process.pid)
            load = generate(service.port, tokens if wallets > 1 else tokens.with_suffix(".token"), seconds)
            answered[mode] += load.requests - load.not_200
            return Turn(load, _cpu_seconds(service.process.pid) - before)

        def lists(mode: str, workload: Workload) -> Turn:
            before, turn = _cpu_seconds(services[SERVICE].process.pid), workload(seconds)
            answered[SERVICE if mode == LISTS else mode] += turn.charges
            return Turn(Load(turn.charges, turn.seconds), _cpu_seconds(services[SERVICE].process.pid) - before)

        ids = range(1, many + 1)
        library = stack.enter_context(CreditWallet.open(f"sqlite:///{folder / f'{LIBRARY}.db'}"))
        turns: dict[Case, Callable[[], Turn]] = {
            (mode, wallets): partial(requests, mode, wallets)
            for mode, wallets in ((BARE, 1), (SERVICE, 1), (SERVICE, many), (DOCUMENTED, 1), (DOCUMENTED, many))
        }
        turns[LISTS, many] = partial(lists, LISTS, over_http(services[SERVICE].port, ids))
        turns[LIBRARY, many] = partial(lists, LIBRARY, in_batches(library, plain_charges(ids), LIST))
        answers = in_turns(turns, rounds)
        memory_mb = _peak_memory_mb(services[SERVICE].process.pid)
    del answered[BARE]
    return answers, answered, memory_mb


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


def _verify(path: Path, answered: int, *, unread: int) -> None:
    """The ledger is sound, and has a charge for every 200; ``unread`` more can have gone unanswered as rounds ended."""
    connection = apsw.Connection(str(path))
    charges: int = connection.execute("SELECT count(*) FROM am_credit_transaction_log WHERE txn_type = 'charge'").get
    connection.close()
    assert answered <= charges <= answered + unread, (answered, charges)
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        violations = wallets.verify()
    assert not violations, violations[:3]


def _figures(turns: dict[Case, list[Turn]], many: int) -> list[Figure]:
    wallets = f"{many:,} wallets"
    bare, service, service_many = (BARE, 1), (SERVICE, 1), (SERVICE, many)
    own_lists = f"own list of {LIST:,}"
    return [
        _figure("a handler that stores nothing", turns[bare]),
        _figure("charge, one wallet", turns[service], turns[bare], "bare handler", ">= 0.40"),
        _figure(f"charge, {wallets}", turns[service_many], turns[bare], "bare handler", ">= 0.32"),
        _figure("the same without the fast lane, one wallet", turns[DOCUMENTED, 1], turns[service], "charge"),
        _figure(f"the same without the fast lane, {wallets}", turns[DOCUMENTED, many], turns[service_many], "charge"),
        _figure(f"list of {LIST:,}, {wallets}", turns[LISTS, many], turns[LIBRARY, many], own_lists, ">= 0.9"),
        Figure(own_lists, median(turn.rate for turn in turns[LIBRARY, many]), "/s"),
    ]


def _figure(
    name: str, mine: Sequence[Turn], other: Sequence[Turn] = (), ratio_to: str = "", target: str = ""
) -> Figure:
    """Rate and ratio of a case, and in the detail latencies and the service's CPU."""
    details = [f"CPU {median(turn.cpu_us for turn in mine):.0f} µs"]
    if mine[0].load.p50_ms:
        p50_ms, p99_ms = median(turn.load.p50_ms for turn in mine), median(turn.load.p99_ms for turn in mine)
        details.append(f"p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, {sum(turn.load.not_200 for turn in mine)} not 200")
    ratio = median(here.rate / there.rate for here, there in zip(mine, other, strict=True)) if other else None
    return Figure(name, median(turn.rate for turn in mine), "/s", target, ratio, ratio_to, "; ".join(details))


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


def _cpu_seconds(pid: int) -> float:
    """Of all threads of a process; the kernel tells it in hundredths."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1_000
    raise RuntimeError("the kernel does not tell VmHWM")


if __name__ == "__main__":
    main()
