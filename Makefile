# Everything a newcomer needs. `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq
# semgrep has an environment of its own: it wants other versions of what warta builds on. It asks nothing of the network.
SEMGREP_VENV := .venv-semgrep
SEMGREP := SEMGREP_SEND_METRICS=off SEMGREP_ENABLE_VERSION_CHECK=0 \
	SEMGREP_SETTINGS_FILE=$(SEMGREP_VENV)/settings.yml $(SEMGREP_VENV)/bin/semgrep
PEERS_VENV := .venv-peers
PROGRAM := warta.py commands spiders aggregator feeds demo
LOCKING := --universal --python-version 3.11 --generate-hashes --quiet --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help demo test check guards torture fuzz run bench scale format family lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## a made-up LPSE, crawled, published and served, offline (ARGS=--once: stop after publishing)
	@$(BIN)/warta demo $(ARGS)

run: $(READY) ## crawl the portals of warta.toml and publish (ARGS=--due: only those whose turn it is)
	@$(BIN)/warta run $(ARGS)

test: $(READY) ## the tests, side by side (ARGS=tests/test_filters.py: only these, one by one)
	@$(BIN)/python -m pytest $(or $(ARGS),-n auto --dist worksteal)

check: $(READY) $(SEMGREP_VENV)/.ready ## everything CI asks: format, lint, types, known weaknesses, tests
	@$(BIN)/ruff format --check --quiet . || { echo "Run 'make format'."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@told=$$($(BIN)/bandit -c pyproject.toml -q -r $(PROGRAM) 2>&1) || { echo "$$told"; exit 1; }
	@told=$$($(SEMGREP) test .semgrep 2>&1) || { echo "$$told"; exit 1; }
	@$(SEMGREP) scan --config .semgrep --metrics off --disable-version-check --strict --error --quiet \
		$(PROGRAM) deploy/wordpress
	@$(MAKE) --no-print-directory test

fuzz: $(READY) ## hostile input for everything that reads, and for the API (MINUTES=10, ARGS="--only spse --seed 5")
	@$(BIN)/python -m tests.fuzzing --minutes $(or $(MINUTES),10) $(ARGS)

guards: $(READY) ## each guard of tests/guards.toml taken out in turn: its test must fail (ARGS='entity bomb': only these)
	@$(BIN)/python -m tests.guards $(ARGS)

torture: $(READY) ## bad days on purpose: kills, power cuts, failing disks, spoilt databases (an hour; ARGS="kill --rounds 20": a part of it)
	@$(BIN)/python -m tests.torture $(ARGS)

bench: $(READY) $(PEERS_VENV)/.ready ## speed and size beside the best, into benchmarks/RESULTS.md (half an hour; ARGS="serving --quick": a part of it)
	@$(BIN)/python -m benchmarks $(ARGS)

scale: $(READY) ## 790 portals, three workers, one killed: what holds, on a PostgreSQL of its own (about half an hour)
	@$(BIN)/python -m benchmarks.scale $(ARGS)

format: $(READY) ## format the code, mend what ruff can mend
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

family: $(READY) ## the files of a new source, to be filled in (NAME=open_data): docs/adding-a-source.md
	@$(BIN)/python -m spiders.scaffold "$(NAME)"

lock: $(READY) ## write requirements.lock anew from pyproject.toml, and the shorter ones of deploy/, .semgrep/ and benchmarks/peers/
	@$(PIP) install uv
	@$(BIN)/uv pip compile pyproject.toml --extra dev $(LOCKING) --upgrade --output-file requirements.lock
	@echo hatchling | $(BIN)/uv pip compile pyproject.toml - $(LOCKING) --constraint requirements.lock \
		--output-file deploy/requirements.lock
	@$(BIN)/uv pip compile .semgrep/requirements.in $(LOCKING) --upgrade --output-file .semgrep/requirements.lock
	@$(BIN)/uv pip compile benchmarks/peers/requirements.in $(LOCKING) --upgrade --output-file benchmarks/peers/requirements.lock

clean: ## remove .venv, .venv-semgrep, .venv-peers and caches; var/ stays
	@rm -rf $(VENV) $(SEMGREP_VENV) $(PEERS_VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Built again only when the lock or pyproject.toml changed.
$(READY): requirements.lock pyproject.toml
	@echo "Preparing $(VENV) (about a minute, once) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(SEMGREP_VENV)/.ready: .semgrep/requirements.lock
	@echo "Preparing $(SEMGREP_VENV) (once) …"
	@test -x $(SEMGREP_VENV)/bin/python || $(PYTHON) -m venv $(SEMGREP_VENV)
	@$(SEMGREP_VENV)/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --requirement $<
	@touch $@

# What the benchmarks measure beside us.
$(PEERS_VENV)/.ready: benchmarks/peers/requirements.lock
	@echo "Preparing $(PEERS_VENV) (once) …"
	@test -x $(PEERS_VENV)/bin/python || $(PYTHON) -m venv $(PEERS_VENV)
	@$(PEERS_VENV)/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --requirement $<
	@touch $@
