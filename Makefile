# The two commands are `make run` and `make test`; `make help` lists the rest.
# Kept to what GNU Make 3.81 (macOS) knows, and to relative paths, so that a folder's name may hold
# spaces.

HOST ?= 127.0.0.1
PORT ?= 8000
ARGS ?=
PYTHON ?=

PY := .venv/bin/python
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install --quiet
INSTALLED := .venv/.installed
INSTALLED_DEV := .venv/.installed-dev

# A virtual environment holds its own path: one that was moved is set up again.
$(shell [ "$$(cat .venv/.folder 2>/dev/null)" = "$$(pwd)" ] || rm -f $(INSTALLED) $(INSTALLED_DEV))

.PHONY: run test test-agents lint web worker install clean help

run: $(INSTALLED)  ## everything, on http://HOST:PORT (default 127.0.0.1:8000)
	@exec $(PY) -m flakestorm_web.up --host "$(HOST)" --port "$(PORT)"

web: $(INSTALLED)  ## only the dashboard
	@exec $(PY) -m flakestorm_web.up web --host "$(HOST)" --port "$(PORT)"

worker: $(INSTALLED)  ## only workers (and the sweep); start as many as you like
	@exec $(PY) -m flakestorm_web.up worker

test: $(INSTALLED_DEV)  ## all tests, in parallel; ARGS="-k name" narrows them
	@$(PY) -m pytest -n auto $(ARGS)

test-agents: $(INSTALLED_DEV)  ## agents of other frameworks, each in an environment that is built once
	@FLAKESTORM_TEST_AGENTS=1 $(PY) -m pytest -n auto tests/agents $(ARGS)

lint: $(INSTALLED_DEV)  ## style, types, and migrations that match the models
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	@DATABASE_URL=sqlite://:memory: FLAKESTORM_SECRET_KEY=only-for-makemigrations-check-0000 \
		$(PY) manage.py makemigrations --check --dry-run

install: $(INSTALLED)  ## sets up .venv and the flakestorm command, starts nothing

clean:  ## removes what make made; data (var/) stays
	rm -rf .venv build dist *.egg-info staticfiles .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

$(INSTALLED): requirements.txt pyproject.toml
	@set -e; \
	usable() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	if ! usable $(PY); then \
		found=; \
		for name in "$(PYTHON)" python3 python3.13 python3.12 python3.11 python; do \
			if [ -n "$$name" ] && usable "$$name"; then found="$$name"; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "Python 3.11 or newer is needed and was not found. Install it" \
				"(apt install python3 python3-venv, or brew install python@3.12)," \
				"or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
			exit 1; \
		fi; \
		rm -rf .venv; \
		echo "Making .venv with $$($$found --version)"; \
		if ! "$$found" -m venv .venv; then \
			rm -rf .venv; \
			echo "Python's venv module is incomplete: apt install python3-venv" >&2; \
			exit 1; \
		fi; \
	fi
	@echo "Installing requirements"
	@$(PIP) -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@pwd > .venv/.folder
	@touch $@

$(INSTALLED_DEV): $(INSTALLED) requirements-dev.txt
	@echo "Installing what tests and lint need"
	@$(PIP) -r requirements-dev.txt
	@touch $@
