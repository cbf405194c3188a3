# The README's commands; nothing hidden. Needs Python >= 3.11, make and the package registry.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
BENCH  ?= quick
MINUTES ?= 60

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z][a-zA-Z_-]*:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.run: requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("datastorage needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: run
run: $(VENV)/.run ## start the service with its own PostgreSQL and Redis on http://127.0.0.1:8080
	@exec $(BIN)/datastorage dev

.PHONY: test
test: $(VENV)/.dev ## lint, types, unit, integration, api, e2e, guards
	$(BIN)/tox run

.PHONY: chaos
chaos: $(VENV)/.dev ## break PostgreSQL, Redis, the network and the service under load; about ten minutes
	$(BIN)/tox run -e chaos

.PHONY: bench
bench: $(VENV)/.dev ## measure the service beside its own SQL; BENCH=full takes a million incidents
	$(BIN)/python -m bench $(BENCH)

.PHONY: soak
soak: $(VENV)/.dev ## an hour of steady load: does anything grow? MINUTES=60
	$(BIN)/python -m bench.soak --minutes $(MINUTES)

# The image's list comes first and binds the others: what is tested is what ships.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.PHONY: lock
lock: $(VENV)/.dev ## write the lock files again from setup.cfg
	$(COMPILE) setup.cfg --extra image --extra telemetry -o requirements-image.lock
	printf 'setuptools>=77\nwheel\n' | $(COMPILE) - --no-annotate -o requirements-build.lock
	$(COMPILE) setup.cfg --extra binary --extra embedded --extra telemetry --constraint requirements-image.lock -o requirements.lock
	$(COMPILE) setup.cfg --extra binary --extra embedded --extra telemetry --extra test --constraint requirements.lock -o requirements-dev.lock

.PHONY: openapi
openapi: $(VENV)/.dev ## write docs/openapi.yaml from the code
	$(BIN)/datastorage openapi > docs/openapi.yaml.new && mv docs/openapi.yaml.new docs/openapi.yaml

.PHONY: clean
clean: ## remove the virtual environment, caches and build leftovers (keeps .datastorage, the data of make run)
	rm -rf $(VENV) .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
