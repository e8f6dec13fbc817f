# Everything starts with `make setup`, which is quick when nothing has changed.

PYTHON ?= python3
PORT ?= 8787
DATA ?= var
VENV := .venv
BIN := $(VENV)/bin
BENCHMARKS := sqlite_charges postgres_charges concurrency big_ledger alert_job http_charges gate

.PHONY: setup run demo test check format openapi bench smoke drill soak lock clean

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml requirements.lock requirements-mcp1.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	rm -rf $(VENV)/mcp1
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --target $(VENV)/mcp1 -r requirements-mcp1.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

run: setup  ## the service with a demo wallet, until Ctrl-C
	$(BIN)/credit-wallet --db sqlite:///$(DATA)/credit_wallet.db serve --demo --test-payments --port $(PORT)

demo: setup  ## a month of simulated agent traffic through the real rail
	$(BIN)/credit-wallet demo

test: setup
	$(BIN)/python -m pytest -n auto

check: setup  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: setup  ## renew docs/reference/openapi.json from the code
	$(BIN)/python -m credit_wallet.http.openapi >docs/reference/openapi.json

bench: setup  ## every figure of benchmarks/README.md; about half an hour, most of it making 10,000,000 entries
	$(BIN)/credit-wallet bench
	for benchmark in $(BENCHMARKS); do $(BIN)/python benchmarks/$$benchmark.py || exit 1; done

smoke: setup  ## every benchmark for seconds on small data, to see that it runs
	for benchmark in $(BENCHMARKS); do $(BIN)/python benchmarks/$$benchmark.py --smoke >/dev/null || exit 1; done

drill: setup  ## what one tenant at its worst does to another's charges, in each way, with 500,000 entries; a table
	$(BIN)/python tests/support/neighbours.py

soak: setup  ## 200 kills on each database, 100,000 steps and more against each model
	$(BIN)/python tests/support/crash.py --kills 200
	$(BIN)/python tests/support/crash.py --kills 200 --database postgres
	EVERY_DATABASE=1 $(BIN)/python -m pytest -n auto -k partitioned tests/stores/test_adoption.py tests/rules/test_changed_budgets.py tests/ledger/test_fork.py tests/ledger/test_time.py
	MODEL_EXAMPLES=3500 $(BIN)/python -m pytest tests/rules/test_model.py
	CHEATERS_EXAMPLES=700 $(BIN)/python -m pytest tests/gate/test_gate_cheaters.py

lock: setup  ## renew requirements.lock and, for tests with the MCP SDK 1.x, requirements-mcp1.lock; needs uv
	uv pip compile -q pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	uv pip compile -q requirements-mcp1.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements-mcp1.lock

clean:
	rm -rf $(VENV) build dist src/*.egg-info
