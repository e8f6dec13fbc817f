"""``credit_wallet``: the names that it offers, for people, for type checkers and at run time, and what they cost."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import credit_wallet
from credit_wallet.errors import WalletError

X402 = "pay_to='0x1', network='eip155:8453', asset='0x2', units_per_yen=1, facilitator_url='http://127.0.0.1'"
SOURCE = Path(inspect.getfile(credit_wallet))


def of_type_checkers() -> dict[str, str]:
    """Names that the ``TYPE_CHECKING`` block imports, with their modules."""
    [block] = [node for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body if isinstance(node, ast.If)]
    return {
        name.name: str(statement.module)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for name in statement.names
    }


def test_dir_names_the_public_surface() -> None:
    assert dir(credit_wallet) == sorted(credit_wallet.__all__)
    assert {"CreditWallet", "CreditGate", "WalletClient", "InsufficientFunds", "priced"} <= set(dir(credit_wallet))


def test_type_checkers_see_what_is_there_at_run_time() -> None:
    declared = of_type_checkers()
    assert {*declared, "__version__"} == set(credit_wallet.__all__)
    for name, module in declared.items():
        value = getattr(credit_wallet, name)
        assert value is getattr(sys.modules[module], name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, WalletError)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'CreditWalet'"):
        credit_wallet.CreditWalet  # noqa: B018


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_else() -> None:
    names = python("import sys, credit_wallet; print(*(n for n in sys.modules if n.startswith('credit_wallet')))")
    assert set(names.split()) == {"credit_wallet", "credit_wallet.version"}


def test_an_error_is_there_without_the_ledger() -> None:
    program = "import sys; from credit_wallet import InsufficientFunds; print('credit_wallet.ledger' in sys.modules)"
    assert python(program) == "False"


@pytest.mark.parametrize(
    ("missing", "program", "extra"),
    [
        ("httpx", "from credit_wallet import WalletClient", "client"),
        ("httpx", "from credit_wallet.client import AsyncWalletClient", "client"),
        ("psycopg", "credit_wallet.CreditWallet.open('postgresql://u@127.0.0.1:1/x')", "postgres"),
        (
            "x402",
            f"CreditGate(None, None, price_yen=3, x402=credit_wallet.middleware.X402({X402}))",
            "x402",
        ),
    ],
)
def test_a_missing_extra_says_which(missing: str, program: str, extra: str) -> None:
    told = python(
        f"""
import sys
sys.modules[{missing!r}] = None
import credit_wallet
from credit_wallet import CreditGate
try:
    {program}
except ModuleNotFoundError as error:
    print(error, error.code, error.name)
"""
    )
    install = f"install it with: pip install 'agent-credit-wallet[{extra}]'"
    assert told == f"{missing} is not installed; {install} missing_extra {missing}"
