# Needs Python >= 3.11 and make, nothing else: every target that runs code installs what it needs into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
POSTGRES15 ?= /usr/lib/postgresql/15/bin
RABBITMQ ?= /usr/lib/rabbitmq/bin/rabbitmq-server
REDIS ?= /usr/bin/redis-server
export PIP_DISABLE_PIP_VERSION_CHECK = 1
EXTRAS := --extra object-storage --extra encryption
UV_COMPILE = $(BIN)/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help demo up extras test coverage test-postgres15 test-brokers check bench lock format clean

help: ## Show what each target does
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## Start everything, send the main job through the queue, print the answers, stop
	@$(BIN)/template-service demo

up: $(VENV)/.runtime ## Start PostgreSQL, Valkey, a worker, beat and Flower until Ctrl-C
	@$(BIN)/template-service up

extras: $(VENV)/.runtime ## Install what dumps need for object storage and encryption
	@$(BIN)/python -m pip install --quiet --no-compile --no-deps --require-hashes -r requirements-extras.lock

test: $(VENV)/.dev ## Run every test, on real servers
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

coverage: $(VENV)/.dev ## The same with branch coverage of all processes, which must reach 90 %
	@$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=90 $(ARGS)

test-postgres15: $(VENV)/.dev ## The same service on Debian's PostgreSQL 15, with TLS; installs it when it is missing
	@test -x $(POSTGRES15)/postgres || .ci/postgres15
	@TEMPLATE_SERVICE_POSTGRES_PROGRAMS=$(POSTGRES15) $(BIN)/python -m pytest tests/postgres15 $(ARGS)

test-brokers: $(VENV)/.dev ## The same service on Debian's RabbitMQ and Redis; installs them when they are missing
	@test -x $(RABBITMQ) -a -x $(REDIS) || .ci/brokers
	@TEST_RABBITMQ_SERVER=$(RABBITMQ) TEST_REDIS_SERVER=$(REDIS) $(BIN)/python -m pytest tests/brokers $(ARGS)

check: $(VENV)/.dev ## Lint, types, direction of imports, and whether the lock files are current
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@set -e; scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; cp requirements*.lock "$$scratch"; \
	$(UV_COMPILE) -o "$$scratch/requirements.lock"; \
	$(UV_COMPILE) $(EXTRAS) -c "$$scratch/requirements.lock" -o "$$scratch/requirements-extras.lock"; \
	$(UV_COMPILE) --group dev -c "$$scratch/requirements.lock" -o "$$scratch/requirements-dev.lock"; \
	for lock in requirements.lock requirements-extras.lock requirements-dev.lock; do \
		diff -q "$$lock" "$$scratch/$$lock" || { echo "$$lock is not current: run make lock"; exit 1; }; \
	done; echo "lock files current"

bench: $(VENV)/.dev ## Measure renders and batches against a no-op task and bare loops
	@$(BIN)/python -m bench $(ARGS)

lock: $(VENV)/.dev ## Write the lock files anew from pyproject.toml (ARGS=--upgrade for newer versions)
	@$(UV_COMPILE) $(ARGS) -o requirements.lock
	@$(UV_COMPILE) $(ARGS) $(EXTRAS) -c requirements.lock -o requirements-extras.lock
	@$(UV_COMPILE) $(ARGS) --group dev -c requirements.lock -o requirements-dev.lock

format: $(VENV)/.dev ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

clean: ## Remove the virtual environment and caches (not the data under .local)
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage* *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --no-compile --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@$(BIN)/python -m pip install --quiet --no-compile --no-deps --require-hashes -r requirements-dev.lock
	@touch $@
