# `make help` lists the targets. All of them work on a machine that has Python 3.11+ and nothing else installed.
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)

# The tests start hundreds of processes: where the environment forbids Python to keep what it compiled, each would compile
# everything again, which takes seconds.
export PYTHONDONTWRITEBYTECODE :=

# For tests that run as long as they are asked to; elsewhere a test that hangs fails after the time that pyproject.toml says.
UNTIMED := -o timeout=0 -o faulthandler_timeout=0

.DEFAULT_GOAL := help

.PHONY: help install demo test test-long prove chaos chaos-leases cluster fleet replay mutants check fuzz advisories docs mistakes screenshots site format bench clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(BIN)/.installed ## install everything into .venv, as uv.lock pins it

$(BIN)/.installed: pyproject.toml uv.lock
	@test -x $(BIN)/pip || test -x $(BIN)/uv || $(PYTHON) -m venv .venv
	@command -v uv >/dev/null 2>&1 || test -x $(BIN)/uv || $(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9'
	@UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --quiet --frozen --inexact --compile-bytecode --all-extras --no-extra litellm --python $(BIN)/python
	@touch $@

demo: install ## start everything, drive traffic through it, show and prove what came of it (KEEP=1 leaves it running)
	@$(BIN)/faregate demo $(if $(KEEP),--keep)

# Four processes for two processors: each waits for its servers a quarter of the time.
test: install ## run the tests on real engines (12 to 15 minutes on two processors)
	@$(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder -m "not long" $(ARGS)

test-long: install ## run the tests that take longest: further forms of what `make test` checks
	@$(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder -m long -o timeout=1800 -o faulthandler_timeout=1860 $(ARGS)

prove: install ## the long form of the ledger's state machines (about half an hour), of the analytics' interleavings, and of contention
	@$(BIN)/pytest -q -s tests/credit/test_state_machine.py --hypothesis-profile=long $(UNTIMED)
	@$(BIN)/pytest -q tests/analytics/test_interleavings.py --hypothesis-profile=long $(UNTIMED)
	@$(BIN)/pytest -q tests/usage/test_lease_schedules.py tests/core/test_redaction.py tests/usage/test_rates.py --hypothesis-profile=long $(UNTIMED)
	@$(BIN)/faregate bench contention

chaos: install ## settle while everything dies (two minutes; ARGS='--form full' for 1,000 crashes)
	@$(BIN)/faregate chaos $(ARGS)

chaos-leases: install ## spend leases while their clients and the gateway are killed (ARGS='--client-kills 20': a short form)
	@PYTHONPATH=tests $(BIN)/python -m faults.leases $(ARGS)

cluster: install ## lose nodes of a RabbitMQ cluster, the primary of a PostgreSQL with failover, and a fleet's processes (root; half an hour; ON=rabbitmq, postgresql or fleet for a part)
	@$(BIN)/faregate chaos --cluster $(or $(ON),all) $(if $(ON),,--report docs/evidence/cluster-run) $(ARGS)

fleet: install ## replace many gateways and workers, of two revisions, without a failed call; Redis and a job's worker die meanwhile
	@PYTHONPATH=tests $(BIN)/python -m faults.fleet $(ARGS)

replay: install ## ride a recorded trace (FILE=…csv) through gateway, worker and RabbitMQ: the same money as in one process
	@FAREGATE_TEST_REPLAY_FILE=$(abspath $(or $(FILE),$(error FILE=… names no recorded trace))) \
		$(BIN)/pytest -q -s tests/cli/test_separate_processes.py -k replay $(UNTIMED)

mutants: install ## break each rule of the ledger in turn: a named test must notice
	@$(BIN)/python tests/mutants.py

check: install ## formatting, lint, types (mypy and pyright, strict; those of the examples, too), boundaries, dead code, rules of the house
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python tests/example_types.py
	@$(BIN)/pyright
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tests/house_rules.py
	@$(BIN)/vulture

fuzz: install ## schemathesis over the whole HTTP contract: at least 50,000 cases (EXAMPLES=10 per call: a short form)
	@$(BIN)/python tests/fuzz/run.py $(EXAMPLES)

advisories: install ## known advisories of the locked dependencies, as PyPI tells them (ARGS='name …': only these)
	@$(BIN)/python tests/advisories.py $(ARGS)

docs: install ## write the generated pages of docs/reference, and the pictures
	@$(BIN)/python docs/generate.py

mistakes: install ## make the mistakes of docs/reference/mistakes.md, and write what they print
	@WRITE_PAGES=1 $(BIN)/pytest -q tests/cli/test_mistakes.py

screenshots: install ## pictures of the dashboard, page by page, in build/screenshots (needs Debian's chromium)
	@cd tests && ../$(BIN)/python screenshots.py $(ARGS)

site: install ## build the documentation as a site into build/site; broken links are errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --clean
	@echo "build/site/index.html"

format: install ## format the code
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

bench: install ## measure, each figure beside its limit
	@$(BIN)/faregate bench

clean: ## remove what install and the tests made
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
