# The two commands of this project are `make demo` and `make test`; both set everything up first.
# The first Python that runs and is of a version we support; else plain python3, and set-up says what is wrong with it.
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) or print(sys._base_executable))' 2>/dev/null && exit; \
  done; echo python3)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup test demo soak lint gas bench abi deploy-tools lock clean
.DEFAULT_GOAL := test

setup: .venv/.ready
.venv/.ready: requirements.lock package-lock.json pyproject.toml tools/setup.py
	@$(PYTHON) tools/setup.py

# Unit tests need no chain; the others run against anvils that Ape and they start. Two runs side by side, one for each of two cores: the longer one
# is to be seen, and what the other said comes after it.
APE_TEST := ape test --network ethereum:local:foundry
test: setup
	@echo "compiling the contracts: half a minute, the first time"
	@ape compile --verbosity ERROR
	@others=$$(mktemp); trap 'rm -f $$others' EXIT; \
	echo "tests/contracts and tests/unit: in the background"; $(APE_TEST) tests/contracts tests/unit >$$others 2>&1 & \
	echo "tests/e2e:"; $(APE_TEST) tests/e2e; failed=$$?; \
	wait $$! || failed=$$?; echo "tests/contracts and tests/unit:"; cat $$others; exit $$failed

# The whole system as a tour, on a local chain of its own. What it makes lies in demo/.
demo: setup
	@echo "compiling the contracts: half a minute, the first time"
	@ape compile --verbosity ERROR
	ape run demo

# A quarter of an hour with blocks every two seconds and epochs of a minute: the oracle is killed twenty times, an attestor is rotated, and every epoch is verified.
soak: setup
	python -m tests.soak

# Detectors that slither.config.json leaves out were read and found to speak of style, or of this project's ways on purpose.
lint: setup
	ruff check .
	ruff format --check .
	mypy
	forge fmt --check contracts
	forge lint
	slither .

# The gas of each action beside OpenZeppelin's and Solady's; tests compare it with benchmarks/gas.json.
gas: setup
	python -m benchmarks.gas

# The figures that README.md quotes, each beside its alternative. `python -m benchmarks ROOM` takes those of one room.
bench: setup
	python -m benchmarks

# The contracts' interfaces as the Python library has them, from the compiled contracts.
abi: setup
	python tools/abi.py

clean:
	rm -rf .venv .build .cache node_modules

# What only an operator needs, beside the rest: block explorers, Safe and KMS accounts.
deploy-tools: setup
	uv pip install --quiet --require-hashes -r requirements-deploy.lock

# Resolve the newest versions that pyproject.toml allows.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
lock:
	$(LOCK) --extra dev --extra spark pyproject.toml --output-file requirements.lock
	$(LOCK) --extra deploy pyproject.toml --output-file requirements-deploy.lock
	npm install --package-lock-only --no-audit --no-fund
