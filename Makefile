# The two commands of this project are `make demo` and `make test`; both set everything up first.
# The first Python that runs and is of a version we support; else plain python3, and set-up says what is wrong with it.
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) or print(sys._base_executable))' 2>/dev/null && exit; \
  done; echo python3)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup test demo lint gas lock clean
.DEFAULT_GOAL := test

setup: .venv/.ready
.venv/.ready: requirements.lock package-lock.json pyproject.toml tools/setup.py
	@$(PYTHON) tools/setup.py

clean:
	rm -rf .venv .build .cache node_modules

# Resolve the newest versions that pyproject.toml allows.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --extra dev pyproject.toml --output-file requirements.lock
	npm install --package-lock-only --no-audit --no-fund
