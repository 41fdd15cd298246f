# `make demo` and `make test` need nothing but python3 with venv and pip; they make .venv by themselves.

PYTHON ?= python3
BIN := .venv/bin
# The product alone, and what else tests and tools need.
PRODUCT := .venv/.product
STAMP := .venv/.ready
# Quiet twice: without its warnings, of which a newcomer can do nothing; errors are said.
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check

.PHONY: demo test coverage format lint type bench bench-quick bench-growth bench-parts bench-js lock clean

demo: $(PRODUCT)  ## answer a real question with the built-in offline model; PLAIN=1: one act; MODEL=openai:… BASE_URL=…: a real one
	@$(BIN)/rlm demo $(if $(MODEL),--model "$(MODEL)") $(if $(BASE_URL),--base-url "$(BASE_URL)") $(if $(PLAIN),--plain)

test: lint type $(STAMP)  ## everything that must hold
	$(BIN)/pytest -n 2 --dist worksteal

coverage: $(STAMP)  ## which lines the tests that start no program run; slower
	$(BIN)/pytest -n 2 --cov --cov-report=term:skip-covered

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

type: $(STAMP)
	$(BIN)/basedpyright

bench: $(STAMP)  ## this project beside the official RLM, which it installs for that; a quarter of an hour
	$(BIN)/python -m bench.beside

bench-quick: $(STAMP)  ## the short cases of it, once: two minutes; fails when a line is worse than recorded by 30 %
	$(BIN)/python -m bench.beside --quick

bench-growth: $(STAMP)  ## how time and memory grow with input, calls, sub-RLMs and turns; ten minutes
	$(BIN)/python -m bench.beside.growth

bench-parts: $(STAMP)  ## kernels, snapshots, resuming and others by themselves; some minutes
	$(BIN)/python -m bench

bench-js: $(STAMP)  ## rlm dev, used through LangGraph's SDK for JavaScript; needs Node, and npm fetches the SDK
	$(BIN)/python -m bench.agent_server_js

# Resolve the pins anew (needs uv, which this project does not install): versions and hashes, no addresses. What is
# pinned stays where it can; the product's pins are some of all.
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url -q
lock:
	$(COMPILE) --all-extras --group dev -o .requirements.lock
	$(COMPILE) --extra documents --group build -c .requirements.lock -o .requirements-product.lock

clean:
	rm -rf .venv bench/.environment bench/.results

# Wheels only: nothing is compiled. The locks are complete, so pip resolves nothing (resolving, it would look at releases
# newer than the pins, and refuse them for want of a hash). A stamp goes last, so an interrupted install is done again.
$(PRODUCT): .requirements-product.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned packages into .venv (once; about a minute) …"
	@$(PIP) --only-binary :all: --no-deps --require-hashes -r .requirements-product.lock
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

# forbiddenfruit, pure Python, is published as source alone: the pinned setuptools, installed first, makes its wheel.
$(STAMP): $(PRODUCT) .requirements.lock
	@echo "Installing what tests and tools need beside them (once; about a minute) …"
	@sed -n '/^setuptools==/,/[^\\]$$/p' .requirements.lock | $(PIP) --only-binary :all: --no-deps --require-hashes -r /dev/stdin
	@$(PIP) --only-binary :all: --no-binary forbiddenfruit --no-build-isolation --no-deps --require-hashes \
		-r .requirements.lock
	@touch $@
