# Needs Python >= 3.11 and make, nothing else: every target that runs code installs what it needs into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
POSTGRES15 ?= /usr/lib/postgresql/15/bin
PGBOUNCER := /usr/sbin/pgbouncer
RABBITMQ ?= /usr/lib/rabbitmq/bin/rabbitmq-server
REDIS ?= /usr/bin/redis-server
CHROMIUM ?= /usr/bin/chromium
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Where a shell sets it, each of the hundreds of processes of a test run compiles all that it imports: 2 of its 3 s.
unexport PYTHONDONTWRITEBYTECODE
EXTRAS := object-storage,encryption,tracing
UV_COMPILE = $(BIN)/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

# From a lock file nothing is resolved: the index has newer releases every day (--no-deps). Nothing is built either: a
# build downloads its requirements without hashes.
INSTALL = $(BIN)/python -m pip install --quiet --no-compile --no-deps --only-binary :all: --require-hashes -r

# Installs lock file $(1), then checks that it has all that requirements $(2) need: pip resolves them among the installed
# packages only, whatever its configuration. pip check does not follow extras, such as psycopg[binary].
define install
	@$(INSTALL) $(1)
	@PIP_CONFIG_FILE=/dev/null $(BIN)/python -m pip --isolated install --quiet --no-index --no-build-isolation $(2) || \
		{ echo "$(1) does not match pyproject.toml: run make lock" >&2; exit 1; }
endef

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:  # such as a .venv/bin/python without pip, which Debian leaves when python3-venv is not installed
.PHONY: help demo up extras test chaos coverage test-postgres15 test-brokers test-browser test-producers test-image check contract bench lock format clean

help: ## Show what each target does
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## Start everything, publish and render templates through the queue, print the answers, stop
	@$(BIN)/template-service demo

up: $(VENV)/.runtime ## Start PostgreSQL, Valkey, a worker, beat and Flower until Ctrl-C
	@$(BIN)/template-service up

extras: $(VENV)/.runtime ## Install what dumps need for object storage and encryption
	$(call install,requirements-extras.lock,'template-service[$(EXTRAS)]')

# Twice the processors of CI: a test waits for servers as long as it computes.
test: $(VENV)/.dev ## Run every test, on real servers
	@$(BIN)/python -m pytest -n 4 $(ARGS)

chaos: $(VENV)/.dev ## Break servers and workers under load and count what became of every message (ARGS=--chaos=long)
	@$(BIN)/python -m pytest tests/chaos $(ARGS)

coverage: $(VENV)/.dev ## The same with branch coverage of all processes, which must reach 92 %
	@$(BIN)/python -m pytest -n 4 --cov --cov-report=term:skip-covered --cov-fail-under=92 $(ARGS)

test-postgres15: $(VENV)/.dev ## The same service on Debian's PostgreSQL 15, with TLS; installs it when it is missing
	@test -x $(POSTGRES15)/postgres -a -x $(PGBOUNCER) || .ci/postgres15
	@TEMPLATE_SERVICE_POSTGRES_PROGRAMS=$(POSTGRES15) $(BIN)/python -m pytest tests/postgres15 $(ARGS)

test-brokers: $(VENV)/.dev ## The same service on Debian's RabbitMQ and Redis; installs them when they are missing
	@test -x $(RABBITMQ) -a -x $(REDIS) || .ci/brokers
	@TEST_RABBITMQ_SERVER=$(RABBITMQ) TEST_REDIS_SERVER=$(REDIS) $(BIN)/python -m pytest tests/brokers $(ARGS)

test-browser: $(VENV)/.dev ## Right-to-left mail, the preview and Flower in Debian's Chromium; installs it when it is missing
	@test -x $(CHROMIUM) || .ci/chromium
	@TEST_CHROMIUM=$(CHROMIUM) $(BIN)/python -m pytest tests/browser $(ARGS)

test-producers: $(VENV)/.dev ## Producers in Node.js, TypeScript, Go, PHP, Ruby and Java; installs what is missing of Debian and npm
	@.ci/producers
	@$(BIN)/python -m pytest tests/producers $(ARGS)

test-image: $(VENV)/.dev ## Build the image with podman on a bootstrapped Debian, and run its worker; installs what is missing
	@.ci/image
	@$(BIN)/python -m pytest tests/image $(ARGS)

check: $(VENV)/.dev ## Lint, types, direction of imports, and whether lock files, contract and client are current
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/template-service contract | cmp -s - docs/contract.json || { echo "docs/contract.json is not current: run make contract"; exit 1; }
	@$(BIN)/template-service contract --against docs/contract-released.json
	@$(BIN)/python client/generate.py --check
	@set -e; scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; cp requirements*.lock "$$scratch"; \
	$(UV_COMPILE) -o "$$scratch/requirements.lock"; \
	$(UV_COMPILE) --all-extras -c "$$scratch/requirements.lock" -o "$$scratch/requirements-extras.lock"; \
	$(UV_COMPILE) --group dev -c "$$scratch/requirements.lock" -o "$$scratch/requirements-dev.lock"; \
	for lock in requirements.lock requirements-extras.lock requirements-dev.lock; do \
		diff -q "$$lock" "$$scratch/$$lock" || { echo "$$lock is not current: run make lock"; exit 1; }; \
	done; echo "lock files current"

contract: $(VENV)/.dev ## Write docs/contract.json and the client's generated modules from the models of messages
	@contract=$$($(BIN)/template-service contract) && printf '%s\n' "$$contract" > docs/contract.json
	@$(BIN)/python client/generate.py

bench: $(VENV)/.dev ## Measure renders and batches against a no-op task and bare loops
	@$(BIN)/python -m bench $(ARGS)

lock: $(BIN)/uv ## Rewrite the lock files from pyproject.toml (ARGS=--upgrade for newer versions)
	@$(UV_COMPILE) $(ARGS) -o requirements.lock
	@$(UV_COMPILE) $(ARGS) --all-extras -c requirements.lock -o requirements-extras.lock
	@$(UV_COMPILE) $(ARGS) --group dev -c requirements.lock -o requirements-dev.lock

format: $(VENV)/.dev ## Format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

clean: ## Remove the virtual environment and caches (not the data under .local)
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage* *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Without the check: make lock must work when a lock file is incomplete.
$(BIN)/uv: | $(BIN)/python
	@$(INSTALL) requirements-dev.lock

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	$(call install,requirements.lock,--editable .)
	@touch $@

$(VENV)/.dev: requirements-dev.lock tests/data/oldest-pip.lock $(VENV)/.runtime
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' > $(VENV)/dev.txt
	$(call install,requirements-dev.lock,template-service -r $(VENV)/dev.txt)
	@$(BIN)/python -m pip download --quiet --no-deps --only-binary :all: --require-hashes -r tests/data/oldest-pip.lock -d $(VENV)
	@touch $@
