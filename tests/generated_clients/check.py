"""Generates clients from the service's OpenAPI document, compiles them, and makes a charge with each.

The generators are installed, in the versions that the lock files beside this say, in a folder that is removed again;
they come from the registries of npm and Python. Without Node.js and npm nothing is checked, and the output says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
from served import Served
from service import new_app

from credit_wallet import CreditWallet

HERE = Path(__file__).resolve().parent
DOCUMENT = "openapi.json"
CREDIT_YEN = 1_000
CHARGE_YEN = 3
LIMIT_SECONDS = 600
NODE = (20, 19)
"""The oldest version of Node.js that the generators run on."""
PYTHON_PACKAGE = "openapi_python_client_wallet"
PROGRAMS = {
    "openapi-typescript": ("node", "compiled/with_openapi_typescript.js"),
    "@hey-api/openapi-ts": ("node", "compiled/with_hey_api.js"),
    "openapi-python-client": ("python", "with_openapi_python_client.py"),
}


class Workshop:
    """A folder with the generators, and a running service for their clients."""

    def __init__(self, folder: Path, url: str, token: str) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join(
                [str(folder / "python" / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "WALLET_URL": url,
            "WALLET_TOKEN": token,
        }
        document = httpx.get(f"{url}/openapi.json").raise_for_status().json()
        (folder / DOCUMENT).write_text(json.dumps(document), encoding="utf-8")
        for path in HERE.iterdir():
            if path.suffix in (".json", ".lock", ".ts", ".py") and path.name != Path(__file__).name:
                shutil.copy(path, folder)

    def run(self, *command: str) -> str:
        """Run a command in the folder; its output. Ends the check when the command fails."""
        finished = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
        if finished.returncode != 0:
            sys.exit(f"failed: {' '.join(command)}\n{finished.stdout}{finished.stderr}")
        return finished.stdout


def install(workshop: Workshop) -> None:
    """The generators, and what their clients need."""
    workshop.run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    workshop.run(sys.executable, "-m", "venv", "python")
    workshop.run("python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", "requirements.lock")


def generate(workshop: Workshop) -> None:
    """Three clients from the document."""
    options: tuple[str, ...] = ("--default-non-nullable", "false", "--output", "openapi_typescript/wallet.d.ts")
    workshop.run("npx", "openapi-typescript", DOCUMENT, *options)
    workshop.run("npx", "openapi-ts", "--input", DOCUMENT, "--output", "hey_api")
    options = ("--meta", "none", "--output-path", PYTHON_PACKAGE, "--fail-on-warning")
    workshop.run("openapi-python-client", "generate", "--path", DOCUMENT, *options)


def compile_all(workshop: Workshop) -> None:
    """Check the types of the clients in TypeScript, and the syntax of the one in Python."""
    workshop.run("npx", "tsc", "--project", ".")
    workshop.run("python", "-m", "compileall", "-q", PYTHON_PACKAGE)


def check(folder: Path) -> None:
    """Generate, compile and charge with every client."""
    with CreditWallet.open(f"sqlite:///{folder}/wallet.db") as wallets, Served(new_app(wallets)) as service:
        wallet = wallets.create()
        wallets.topup(wallet.wallet_id, CREDIT_YEN, idempotency_key="start")
        workshop = Workshop(folder, service.url, wallet.owner_token)
        install(workshop)
        generate(workshop)
        compile_all(workshop)
        for number, (generator, program) in enumerate(PROGRAMS.items(), start=1):
            balance_yen = int(workshop.run(*program))
            assert balance_yen == CREDIT_YEN - number * CHARGE_YEN == wallets.balance(wallet.wallet_id), generator
            sys.stdout.write(f"{generator}: the client compiles and makes a charge\n")
    sys.stdout.write(f"{len(PROGRAMS)} passed, 0 failed\n")


def obstacle() -> str | None:
    """Why the generators cannot be installed on this machine, if they cannot."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        return f"{missing[0]} is not installed"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    too_old = tuple(int(part) for part in version.lstrip("v").split(".")[:2]) < NODE
    return f"Node.js {version} is older than {NODE[0]}.{NODE[1]}" if too_old else None


def main() -> None:
    """Check where Node.js and npm are installed."""
    reason = obstacle()
    if reason is not None:
        sys.stdout.write(f"skipped: generated clients are not checked, because {reason}\n")
        return
    with tempfile.TemporaryDirectory(prefix="generated-clients-") as folder:
        check(Path(folder))


if __name__ == "__main__":
    main()
