"""Carries out the steps of ``deploy/Containerfile`` without a container engine, and starts what they make.

    python tests/support/container_steps.py [FOLDER]

Each stage is a Debian root file system that ``mmdebstrap`` makes in FOLDER (a temporary one by default); RUN steps are
executed in it, COPY steps copy into it. At the end the service is started as the image would, asked by its own health
check, and stopped. Needs root, ``mmdebstrap``, and the machine's way to Debian's packages and PyPI.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[2]
CONTAINERFILE = PROJECT / "deploy" / "Containerfile"
READY_SECONDS = 60
NAMES = "/etc/resolv.conf"
CERTIFICATES = "/machine-certificates.crt"
"""Those by which the machine reaches PyPI, if pip is told where they are."""


_SAYS_NOTHING_HERE = {"EXPOSE", "VOLUME", "STOPSIGNAL"}
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Step(NamedTuple):
    """An instruction of a Containerfile."""

    keyword: str
    rest: str


def steps(text: str) -> Iterator[Step]:
    """The instructions of a Containerfile; continued lines are one."""
    whole = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue
        whole += line.rstrip("\\") if line.endswith("\\") else line
        if not line.endswith("\\"):
            keyword, _, rest = whole.strip().partition(" ")
            yield Step(keyword.upper(), rest.strip())
            whole = ""


class Stage:
    """A root file system, and the settings of the steps so far."""

    def __init__(self, root: Path, base: Path) -> None:
        self.root = root
        self.environment = {"PATH": BASE_PATH, "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
        self.environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        self.folder = "/"
        self.user = "0"
        self.words = {"SHELL": ["/bin/sh", "-c"]}
        root.mkdir(parents=True)
        _call("tar", "--extract", "--file", str(base), "--directory", str(root))
        _copy(Path(NAMES).resolve(), root / NAMES[1:])
        if "PIP_CERT" in os.environ:
            _copy(Path(os.environ["PIP_CERT"]), root / CERTIFICATES[1:])
            self.environment["PIP_CERT"] = CERTIFICATES
        settings = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
        ways = [line for line in settings.splitlines() if line.startswith(("Acquire::http", "Acquire::https"))]
        (root / "etc/apt/apt.conf.d/90machine").write_text("\n".join(ways) + "\n", encoding="utf-8")

    def inside(self, words: Sequence[str]) -> list[str]:
        """A command line that runs ``words`` in it."""
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        there = ["/usr/bin/env", "--ignore-environment", f"--chdir={self.folder}", *settings, *words]
        return ["chroot", f"--userspec={self.user}:{self.user}", str(self.root), *there]


def carry_out(text: str, workshop: Path) -> Stage:
    """Carry the steps out and return the last stage."""
    stages: dict[str, Stage] = {}
    for keyword, rest in steps(text):
        sys.stdout.write(f"{keyword} {rest}\n")
        sys.stdout.flush()
        if keyword == "FROM":
            image, _, name = rest.partition(" AS ")
            stages[name or str(len(stages))] = Stage(workshop / f"stage{len(stages)}", _base(image, workshop))
        else:
            _step([*stages.values()][-1], stages, keyword, rest)
    return [*stages.values()][-1]


def _step(stage: Stage, stages: Mapping[str, Stage], keyword: str, rest: str) -> None:
    match keyword:
        case "RUN":
            _call(*stage.inside([*stage.words["SHELL"], rest]))
        case "COPY":
            _copied(stage, stages, rest.split())
        case "WORKDIR":
            stage.folder = rest
            (stage.root / rest[1:]).mkdir(parents=True, exist_ok=True)
        case "ENV":
            for pair in rest.split():
                name, _, value = pair.partition("=")
                stage.environment[name] = value.replace("$PATH", stage.environment["PATH"])
        case "USER":
            stage.user = rest
        case "SHELL" | "ENTRYPOINT" | "CMD":
            stage.words[keyword] = json.loads(rest)
        case "HEALTHCHECK":
            stage.words[keyword] = json.loads(rest.partition("CMD ")[2])
        case _ if keyword not in _SAYS_NOTHING_HERE:
            raise ValueError(f"{keyword} is not known here")


def _copied(stage: Stage, stages: Mapping[str, Stage], words: list[str]) -> None:
    source = PROJECT
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    *names, target = words
    into = stage.root / os.path.join(stage.folder, target)[1:]  # noqa: PTH118  a path of another root
    for name in names:
        one = source / name.lstrip("/")
        _copy(one, into / one.name if target.endswith("/") else into)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _base(image: str, workshop: Path) -> Path:
    """The root file system of an image ``debian:SUITE-slim``, as an archive."""
    suite = image.removeprefix("debian:").removesuffix("-slim")
    archive = workshop / f"{suite}.tar"
    if not archive.exists():
        _call("mmdebstrap", "--quiet", "--variant=minbase", suite, str(archive))
    return archive


def run(stage: Stage) -> None:
    """Start what the image starts, wait for its health check, and stop it."""
    service = subprocess.Popen(stage.inside([*stage.words["ENTRYPOINT"], *stage.words["CMD"]]))
    try:
        give_up_at = time.monotonic() + READY_SECONDS
        while subprocess.run(stage.inside(stage.words["HEALTHCHECK"]), capture_output=True, check=False).returncode:
            if service.poll() is not None or time.monotonic() > give_up_at:
                raise SystemExit("the service does not become healthy")
            time.sleep(0.2)
        _call(*stage.inside([*stage.words["ENTRYPOINT"], "backup", "/srv/wallet/backups/wallet.db"]))
    finally:
        service.send_signal(signal.SIGTERM)
        status = service.wait(timeout=30)
    if status:
        raise SystemExit(f"the service ended with {status}")
    sys.stdout.write("the steps were carried out, and the service answered, was backed up and stopped\n")


def _call(*words: str) -> None:
    subprocess.run(words, check=True)


def main() -> None:
    """Carry out the steps and run the service."""
    with tempfile.TemporaryDirectory(prefix="credit-wallet-container-") as temporary:
        run(carry_out(CONTAINERFILE.read_text(encoding="utf-8"), Path(sys.argv[1] if len(sys.argv) > 1 else temporary)))


if __name__ == "__main__":
    main()
