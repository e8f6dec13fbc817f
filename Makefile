# `make help` lists what there is. Everything starts with `make setup`, which is quick when nothing has changed.

PYTHON ?= python3
PORT ?= 8787
DATA ?= var
POSTGRES ?= 18
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PROSE := README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs examples packages/*/README.md packages/*/src scripts src
COVERED_PERCENT := 94

.DEFAULT_GOAL := help
.PHONY: help setup browser-tools run demo test quick coverage check format openapi bench smoke generated-clients drill screenshots readme-images wide deploy-check container-steps soak lock hooks dist release postgres test-postgres clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/installed  ## .venv with everything that development needs, pinned by hash

$(VENV)/installed: pyproject.toml packages/fake-stripe/pyproject.toml requirements.lock requirements-mcp1.lock | $(BIN)/python
	@echo "Installing what development needs: some 150 packages, a few minutes at the first time"
	@$(PIP) --require-hashes -r requirements.lock
	@echo "Installing the MCP SDK 1.x, for its tests"
	@rm -rf $(VENV)/mcp1
	@$(PIP) --require-hashes --target $(VENV)/mcp1 -r requirements-mcp1.lock
	@echo "Installing the wallet and the fake Stripe from this folder"
	@$(PIP) --no-deps --no-build-isolation -e packages/fake-stripe -e .
	@touch $(VENV)/runnable $@

$(VENV)/runnable: pyproject.toml packages/fake-stripe/pyproject.toml requirements-run.lock | $(BIN)/python
	@echo "Installing what the service needs: some 70 packages, half a minute at the first time"
	@$(PIP) --require-hashes --no-deps --no-compile -r requirements-run.lock
	@echo "Installing the wallet and the fake Stripe from this folder"
	@$(PIP) --no-deps --no-build-isolation -e packages/fake-stripe -e .
	@touch $@

$(BIN)/python:
	@echo "Creating $(VENV)/ with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

browser-tools:
	@tests/support/browser_tools.sh

run: $(VENV)/runnable  ## the service with a demo wallet, until Ctrl-C; installs only what it needs
	@echo "Starting the service"
	@$(BIN)/credit-wallet --db sqlite:///$(DATA)/credit_wallet.db serve --demo --test-payments --port $(PORT)

demo: $(VENV)/runnable  ## a month of simulated agent traffic through the real rail
	$(BIN)/credit-wallet demo

test: setup browser-tools  ## every test, with the cases and examples that show its rule: 15 to 20 minutes on two cores
	$(BIN)/python -m pytest -n auto --dist worksteal

quick: setup browser-tools  ## the suite without what is marked slow
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

coverage: setup browser-tools  ## make wide, and what it covers: all of rules/ and domain/, and a floor for the rest
	rm -f .coverage .coverage.*
	WIDE=1 $(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=
	$(BIN)/coverage report --fail-under=$(COVERED_PERCENT)
	$(BIN)/coverage report --include='*/credit_wallet/rules/*,*/credit_wallet/domain/*' --fail-under=100

check: setup  ## format, lint, the layers of the source, spelling, words, dead code, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/codespell $(PROSE)
	$(BIN)/python scripts/words.py $(PROSE)
	! $(BIN)/vulture | grep -E '^(src|packages|scripts)/' | grep -v fake_stripe/.*calls.py
	$(BIN)/mypy
	cd packages/fake-stripe && ../../$(BIN)/mypy

format: setup  ## put the source into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: setup  ## renew docs/reference/openapi.json from the code
	$(BIN)/python -m credit_wallet.http.openapi >docs/reference/openapi.json

bench: setup  ## every benchmark, and the table of what is to be reached; an hour, or SECTIONS="sqlite http"; more in benchmarks/README.md
	$(BIN)/python benchmarks/ratios.py $(SECTIONS)

smoke: setup  ## every benchmark for seconds on small data, to see that it runs
	$(BIN)/python benchmarks/ratios.py --smoke --base . >/dev/null

generated-clients: setup  ## clients that generators write from the OpenAPI document compile and charge; needs npm and its registry
	PYTHONPATH=tests/support $(BIN)/python tests/generated_clients/check.py

drill: setup  ## what one tenant at its worst does to another's charges, in each way, with 500,000 entries; a table
	$(BIN)/python tests/support/neighbours.py

screenshots: setup browser-tools  ## every page on phone and desktop, light and dark, English and Japanese, in build/screenshots; SHOTS="--only keys --axe" takes some
	$(BIN)/python tests/support/screenshots.py $(SHOTS)

readme-images: setup browser-tools  ## the screenshots that the README shows, in docs/images
	$(BIN)/python tests/support/screenshots.py --readme

wide: setup browser-tools  ## every test with all cases and examples, on every database that it names: an hour or more
	WIDE=1 $(BIN)/python -m pytest -n auto --dist worksteal

deploy-check: setup  ## alert rules, dashboard, units and Containerfile by promtool, systemd-analyze and hadolint, fetched if need be
	tests/support/deploy_tools.sh $(VENV)/deploy
	PATH=$(CURDIR)/$(VENV)/deploy:$$PATH $(BIN)/python -m pytest -q tests/project/test_deploy.py

container-steps: setup  ## carry out deploy/Containerfile in Debian root file systems by mmdebstrap, and run the service; needs root
	$(BIN)/python tests/support/container_steps.py

soak: setup  ## 200 kills on each database, 100,000 steps and more against each model
	$(BIN)/python tests/support/crash.py --kills 200
	$(BIN)/python tests/support/crash.py --kills 200 --database postgres
	MODEL_EXAMPLES=3500 $(BIN)/python -m pytest tests/rules/test_model.py
	RULES_EXAMPLES=20000 $(BIN)/python -m pytest tests/rules/test_exact_rules.py
	BUDGETS_EXAMPLES=4000 $(BIN)/python -m pytest tests/rules/test_budget_model.py
	BUDGETS_EXAMPLES=300 $(BIN)/python -m pytest -n auto --dist worksteal tests/ledger/test_budget_model_on_ledgers.py
	EXACT_CHARGES=1000000 $(BIN)/python -m pytest tests/ledger/test_exact_totals.py
	CHEATERS_EXAMPLES=700 $(BIN)/python -m pytest tests/gate/test_gate_cheaters.py

lock: setup  ## renew requirements.lock, what of it `make run` installs, and the locks of tests: the MCP SDK 1.x, generated clients; needs uv and npm
	uv pip compile -q pyproject.toml --all-extras --no-emit-package fake-stripe --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	uv pip compile -q pyproject.toml requirements-run.in --extra serve --extra mcp --extra notify --extra test-payments --constraints requirements.lock --no-emit-package fake-stripe --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements-run.lock
	uv pip compile -q pyproject.toml deploy/requirements.in --extra all --constraints requirements.lock --no-emit-package fake-stripe --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o deploy/requirements.lock
	uv pip compile -q requirements-mcp1.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements-mcp1.lock
	cd tests/generated_clients && uv pip compile -q requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	cd tests/generated_clients && npm install --package-lock-only --ignore-scripts --no-audit --no-fund

hooks: setup  ## the quick checks before every commit
	$(BIN)/pre-commit install

dist: setup  ## the wheels and source archives of all distributions, in dist/
	rm -rf dist
	for folder in . $(wildcard packages/*); do $(BIN)/python -m build --no-isolation --outdir dist $$folder || exit 1; done

release: dist  ## what the release workflow publishes: TAG=vX.Y.Z, if version and changelog agree with it
	$(BIN)/python scripts/release.py $(TAG)

postgres:  ## PostgreSQL of version POSTGRES in Docker, for make test-postgres
	docker run --detach --rm --name credit-wallet-postgres --publish 127.0.0.1:54329:5432 \
		--env POSTGRES_HOST_AUTH_METHOD=trust postgres:$(POSTGRES) -c max_connections=200 -c max_prepared_transactions=20
	until docker exec credit-wallet-postgres pg_isready --quiet --host 127.0.0.1; do sleep 0.2; done

test-postgres: setup browser-tools  ## the tests of PostgreSQL, on the server of make postgres
	CREDIT_WALLET_TEST_POSTGRES_URL=$${CREDIT_WALLET_TEST_POSTGRES_URL:-postgresql://postgres@127.0.0.1:54329/postgres} \
		$(BIN)/python -m pytest -n auto --dist worksteal -k postgres

clean:  ## what the other commands made, but for data in var/
	rm -rf $(VENV) build dist src/*.egg-info packages/*/build packages/*/dist packages/*/src/*.egg-info
