"""What ``deploy/`` holds: every metric it names is exported, the units are well-formed and hardened, the image builds.

Where ``promtool``, ``systemd-analyze`` and ``hadolint`` are, they check as well; ``make deploy-check`` fetches them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from container_steps import steps
from prometheus_client import generate_latest

from credit_wallet import CreditWallet
from credit_wallet.http.metrics import Metrics
from credit_wallet.http.traffic import Answered
from credit_wallet.worker import JOBS, Worker, Workers

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "RestrictNamespaces": "yes",
    "LockPersonality": "yes",
    "CapabilityBoundingSet": "",
    "User": "credit-wallet",
    "UMask": "0077",
}
MAX_EXPOSURE = 2.0


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every series of a service, with the names of its labels."""
    metrics = Metrics()
    with CreditWallet.open(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/w.db", observe=metrics.batch) as wallets:
        wallet_id = wallets.create(monthly_budget_yen=2).wallet_id
        wallets.topups.request(wallet_id, 500, idempotency_key="payment")
        wallets.topup(wallet_id, 10, idempotency_key="t")
        wallets.charge(wallet_id, 2, idempotency_key="c")
        jobs = Workers([Worker(wallets, JOBS[:1])])
        metrics.watch("sqlite", lambda: jobs.runs)
        metrics.traffic.answered(Answered("/healthz", "GET", 200, 0.0, 1, [], None, None))
        with jobs.runs[0].one():
            pass
        text = metrics.text(wallets).decode()
    assert generate_latest(metrics.money).decode() in text
    return {
        name: set(re.findall(r'(\w+)="', labels or ""))
        for name, labels in re.findall(r"^(\w+)(\{[^}]*\})? ", text, re.MULTILINE)
    }


def expressions() -> Iterator[tuple[str, str]]:
    """Where each expression of PromQL is, and what it says."""
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def test_every_metric_of_the_alerts_and_the_dashboard_is_exported_with_its_labels(
    exported: dict[str, set[str]],
) -> None:
    found = [*expressions()]
    assert len(found) > 30
    for where, expression in found:
        named = re.findall(r"\b(credit_wallet_\w+)(?:\{([^}]*)\})?", expression)
        assert named or "up{" in expression, where
        for name, selector in named:
            assert name in exported, f"{where}: {name}"
            labels = {*re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)} - {"instance"}
            assert labels <= exported[name], f"{where}: {name} has no {labels - exported[name]}"
        grouped = {label.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(",")}
        known = set().union(*(exported[name] for name, _ in named)) | {"instance"} if named else {"instance"}
        assert grouped <= known, where


def test_every_metric_is_in_the_reference(exported: dict[str, set[str]]) -> None:
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported if not name.endswith("_created")}
    documented = set(re.findall(r"^\| `(credit_wallet_\w+)", reference, re.MULTILINE))
    assert families == documented


def test_alerts_say_what_to_do() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    for rule in rules:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert {*rule["annotations"]} == {"summary", "description"}
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert {rule["alert"] for rule in rules} == set(re.findall(r"`(CreditWallet\w+)`", reference))


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    panels: list[dict[str, Any]] = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text("utf-8"))["panels"]
    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_may_do_little(unit: Path) -> None:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    service = dict(parser["Service"])
    assert {name: service[name] for name in HARDENED} == HARDENED
    assert all("password" not in line and "://" not in line for line in unit.read_text().splitlines() if "Exec" in line)


def test_a_timer_has_its_service() -> None:
    names = {unit.name for unit in UNITS}
    for unit in UNITS:
        if unit.suffix == ".timer":
            assert f"{unit.stem}.service" in names


def tool(name: str) -> str:
    """The path of a program; the test is skipped where it is not."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; make deploy-check fetches promtool and hadolint")
    return found


def test_promtool_accepts_the_rules_and_the_expressions(tmp_path: Path) -> None:
    promtool = tool("promtool")
    subprocess.run([promtool, "check", "rules", str(DEPLOY / "prometheus" / "rules.yml")], check=True)
    made = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$__rate_interval", "5m", expression).replace("$instance", ".*")}
        for number, (_, expression) in enumerate(expressions())
    ]
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": made}]}))
    subprocess.run([promtool, "check", "rules", str(rules)], check=True)


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    for unit in UNITS:
        text = unit.read_text().replace("/srv/wallet/venv/bin/credit-wallet", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    units = [str(tmp_path / unit.name) for unit in UNITS]
    verified = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    for unit in SERVICES:
        examined = subprocess.run(
            [analyze, "security", "--offline=true", "--no-pager", str(tmp_path / unit.name)],
            capture_output=True,
            text=True,
            check=True,
        )
        exposure = re.search(r"exposure level for \S+: ([0-9.]+)", examined.stdout)
        assert exposure is not None
        assert float(exposure[1]) <= MAX_EXPOSURE


def test_hadolint_accepts_the_containerfile() -> None:
    hadolint = tool("hadolint")
    linted = subprocess.run([hadolint, str(DEPLOY / "Containerfile")], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_image_serves_as_a_user_without_rights() -> None:
    """``make container-steps`` carries the steps out."""
    instructions = [*steps((DEPLOY / "Containerfile").read_text(encoding="utf-8"))]
    last = dict(instructions[-12:])
    assert last["USER"] == "10001"
    assert (json.loads(last["ENTRYPOINT"]), json.loads(last["CMD"])[0]) == (["credit-wallet"], "serve")
    copied = [word for keyword, rest in instructions if keyword == "COPY" for word in rest.split()[:-1]]
    assert all((ROOT / word).exists() for word in copied if not word.startswith(("--", "/")))
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["wallet"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
