# The README's commands; nothing hidden. Needs Python >= 3.11, make and the package registry.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
BENCH  ?= quick
MINUTES ?= 60

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z][a-zA-Z_-]*:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

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

.PHONY: rolling
rolling: $(VENV)/.dev ## replace pods behind a balancer under 20,000 requests, of which none may fail; about three minutes
	$(BIN)/tox run -e rolling

.PHONY: chaos
chaos: $(VENV)/.dev ## break PostgreSQL, Redis, the network and the service under load; about fifteen minutes
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

.PHONY: alerts
alerts: $(VENV)/.dev ## check and unit-test the alert rules with promtool (Debian: apt-get install prometheus)
	$(BIN)/python -m tests.alerts

# The image. CONTAINER is podman or docker; IMAGE_ARGS passes more to the build, such as base images by digest:
# IMAGE_ARGS="--build-arg RUNTIME_IMAGE=name@sha256:..."
CONTAINER ?= $(notdir $(firstword $(shell command -v podman docker)))
IMAGE     ?= registry.example/datastorage
VERSION   := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' datastorage/__init__.py)
PLATFORMS ?= linux/amd64,linux/arm64
TAG        = $(IMAGE):$(VERSION)
BUILD_ARGS = --file Containerfile --build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git rev-parse HEAD) \
    --build-arg CREATED=$(shell date -u +%Y-%m-%dT%H:%M:%SZ) $(IMAGE_ARGS)
# The health check is part of Docker's format only.
FORMAT     = $(if $(filter podman,$(CONTAINER)),--format docker)

.PHONY: image image-single
image: image-single ## the same as image-single
image-single: ## build the image for this machine's architecture
	$(CONTAINER) build $(FORMAT) $(BUILD_ARGS) --tag $(TAG) .

# podman would add to an older list of that name, so it forgets the name first.
.PHONY: image-multi
image-multi: ## build the image for PLATFORMS, as one manifest list
	@$(if $(filter podman,$(CONTAINER)),podman untag $(TAG) 2> /dev/null || true)
	$(if $(filter podman,$(CONTAINER)),podman build $(FORMAT) $(BUILD_ARGS) --platform $(PLATFORMS) --manifest $(TAG) .,docker buildx build $(BUILD_ARGS) --platform $(PLATFORMS) --tag $(TAG) .)

.PHONY: image-push
image-push: ## send what image-multi built to the registry in IMAGE
	$(if $(filter podman,$(CONTAINER)),podman manifest push --all $(TAG) docker://$(TAG),docker buildx build $(BUILD_ARGS) --platform $(PLATFORMS) --tag $(TAG) --push .)

.PHONY: image-run
image-run: ## run the image as Kubernetes would, with DATASTORAGE_DATABASE_URL and DATASTORAGE_REDIS_URL of this shell
	$(CONTAINER) run --detach --name datastorage --network host --user 1001 --read-only --cap-drop ALL \
	    --security-opt no-new-privileges --tmpfs /var/run/datastorage:rw,size=64m,mode=0777 --memory 512m \
	    --stop-timeout 40 --env HTTP_PORT --env METRICS_PORT --env DATASTORAGE_DATABASE_URL --env DATASTORAGE_REDIS_URL $(TAG)

.PHONY: image-stop
image-stop: ## stop and remove the container of image-run
	$(CONTAINER) stop -t 40 datastorage
	$(CONTAINER) rm datastorage

.PHONY: image-dev
image-dev: image-single image-run ## image-single, then image-run

.PHONY: clean
clean: ## remove the virtual environment, caches and build leftovers (keeps .datastorage, the data of make run)
	rm -rf $(VENV) .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
