"""The command line as a process of its own: sessions, benchmark, demo, missing extras."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shell import Shell, in_a_process, without

from credit_wallet.domain.tokens import is_token
from credit_wallet.stores.jobs.verify import CHECKS


def test_a_shell_session_from_the_first_wallet_to_the_proof(tmp_path: Path) -> None:
    created = in_a_process("wallet", "create", cwd=tmp_path)
    assert is_token(created.out.split()[-1])
    assert in_a_process("topup", "1", "10", "--key", "a", cwd=tmp_path).code == 0
    refused = in_a_process("charge", "1", "11", "--key", "b", cwd=tmp_path)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("insufficient_funds: wallet 1 has ¥10, this needs ¥11; ")
    assert in_a_process("charge", "1", cwd=tmp_path).code == 2
    assert in_a_process("verify", cwd=tmp_path) == (0, f"ok: {len(CHECKS)} invariants hold for every wallet\n", "")


def test_the_benchmark_measures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    answer = in_a_process("--json", "bench", "--seconds", "0.1", "--folder", str(tmp_path), cwd=tmp_path)
    assert (answer.code, answer.err) == (0, "")
    report = json.loads(answer.out)
    assert {"machine", "durability", "cases"} <= set(report)
    cases = {case["name"]: case for case in report["cases"]}
    assert all(case["charges_per_second"] > 0 for case in cases.values())
    compared = {name: case["ratio_to"] for name, case in cases.items() if case["ratio"] is not None}
    assert compared.pop("64 threads") == compared.pop("64 asyncio tasks") == "10,000 wallets, lists of 64"
    assert compared == {name: f"limit: {name}" for name in cases if f"limit: {name}" in cases}
    assert len(compared) == 5
    assert not list(tmp_path.iterdir())


def test_the_demo_ends_with_a_proof(shell: Shell) -> None:
    answer = shell.run("demo")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith("verify: every invariant holds\n")
    assert "Statement of Wallet 4" in answer.out


SERVE_EXTRA = ["granian", "litestar", "prometheus_client", "uvloop"]


@pytest.mark.parametrize("missing", ["granian", "litestar"])
def test_serving_without_its_extra_says_what_to_install(tmp_path: Path, missing: str) -> None:
    told = f"missing_extra: {missing} is not installed; install it with: pip install 'agent-credit-wallet[serve]'\n"
    assert without([missing], "serve", cwd=tmp_path) == (1, "", told)
    assert not list(tmp_path.iterdir())


def test_everything_but_serving_works_without_the_extra(tmp_path: Path) -> None:
    assert without(SERVE_EXTRA, "--db", "sqlite:///wallet.db", "migrate", cwd=tmp_path).code == 0
    assert without(SERVE_EXTRA, "--db", "sqlite:///wallet.db", "wallet", "list", cwd=tmp_path) == (0, "none\n", "")


def test_copying_without_the_driver_says_what_to_install(tmp_path: Path) -> None:
    told = "missing_extra: psycopg is not installed; install it with: pip install 'agent-credit-wallet[postgres]'\n"
    copied = without(["psycopg"], "copy", "sqlite:///wallet.db", "postgresql://nobody@127.0.0.1/nothing", cwd=tmp_path)
    assert copied == (1, "", told)
