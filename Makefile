# Everything a newcomer needs. `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq
LOCKING := --universal --python-version 3.11 --generate-hashes --quiet --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help demo test check guards run scale format family lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## a made-up LPSE, crawled, published and served, offline (ARGS=--once: stop after publishing)
	@$(BIN)/warta demo $(ARGS)

run: $(READY) ## crawl the portals of warta.toml and publish (ARGS=--due: only those whose turn it is)
	@$(BIN)/warta run $(ARGS)

test: $(READY) ## the tests, side by side (ARGS=tests/test_filters.py: only these, one by one)
	@$(BIN)/python -m pytest $(or $(ARGS),-n auto --dist worksteal)

check: $(READY) ## everything CI asks: format, lint, types, tests
	@$(BIN)/ruff format --check --quiet . || { echo "Run 'make format'."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(MAKE) --no-print-directory test

guards: $(READY) ## each guard of tests/guards.toml taken out in turn: its test must fail (ARGS='entity bomb': only these)
	@$(BIN)/python -m tests.guards $(ARGS)

scale: $(READY) ## 790 portals, three workers, one killed: what holds, on a PostgreSQL of its own (about half an hour)
	@$(BIN)/python -m benchmarks.scale $(ARGS)

format: $(READY) ## format the code, mend what ruff can mend
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

family: $(READY) ## the files of a new source, to be filled in (NAME=open_data): docs/adding-a-source.md
	@$(BIN)/python -m spiders.scaffold "$(NAME)"

lock: $(READY) ## write requirements.lock, and the shorter one of deploy/, anew from pyproject.toml
	@$(PIP) install uv
	@$(BIN)/uv pip compile pyproject.toml --extra dev $(LOCKING) --upgrade --output-file requirements.lock
	@echo hatchling | $(BIN)/uv pip compile pyproject.toml - $(LOCKING) --constraint requirements.lock \
		--output-file deploy/requirements.lock

clean: ## remove .venv and caches; var/ stays
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Built again only when the lock or pyproject.toml changed.
$(READY): requirements.lock pyproject.toml
	@echo "Preparing $(VENV) (about a minute, once) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
