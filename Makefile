# make ask Q="how many troops were sent?"   everything, from nothing to an answer
# make test                                 every test, on the real models too
# make check                                ruff, mypy and the fast tests
# make                                      everything but the question

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STORE := vectorstore
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: all models ask index test check lint clean
.DELETE_ON_ERROR:

all: models $(STORE)/CURRENT

# Two stamps, because asking needs no test tools.
$(VENV)/.run: pyproject.toml constraints.txt
	@PYTHON="$(PYTHON)" sh scripts/preflight.sh "$(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the packages; the first time llama-cpp-python is compiled, which takes minutes …" >&2
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run pyproject.toml constraints.txt
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

models: $(VENV)/.run
	@$(BIN)/rag models pull

# Indexing looks at the files again only when one is newer than the index.
$(STORE)/CURRENT: $(VENV)/.run $(wildcard seeds/*)
	@$(BIN)/rag index --store $(STORE) seeds
	@touch $@

index: $(STORE)/CURRENT

ask: $(VENV)/.run
	@test -n "$$Q" || { echo 'Error: no question. Run: make ask Q="how many troops were sent?"' >&2; exit 2; }
	@$(BIN)/rag models pull
	@$(MAKE) --no-print-directory $(STORE)/CURRENT
	@# Exit code 3 is a refusal: an answer, and no failure of make's.
	@$(BIN)/ask --store $(STORE) -- "$$Q" || test $$? -eq 3

test: $(VENV)/.dev
	@$(BIN)/python -m pytest

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

check: lint
	@$(BIN)/python -m pytest -m "not models and not faults"

clean:
	rm -rf $(VENV) $(STORE)/CURRENT $(STORE)/g[0-9]* $(STORE)/.lock build dist

# The question reaches the recipe through the environment, never through make's own
# quoting: a quote or a dollar in it must not be run by a shell.
export Q

.PHONY: constraints
# Writes down the versions that are installed now; run it after changing pyproject.toml.
constraints: $(VENV)/.dev
	@$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' | LC_ALL=C sort -f > constraints.txt.new
	@mv constraints.txt.new constraints.txt

# What is installed, by whom, and under which licence. The tools have an environment of their own.
.PHONY: lock locked sbom audit
SUPPLY := .supply
LOCK := requirements.lock

$(SUPPLY)/.ready: scripts/supply.txt
	@$(PYTHON) -m venv $(SUPPLY)
	@$(SUPPLY)/bin/python -m pip --disable-pip-version-check --quiet install -r scripts/supply.txt
	@touch $@

# Pins every package with the digests of its files, for Python 3.11 on x86-64 Linux.
lock: $(SUPPLY)/.ready
	@CUSTOM_COMPILE_COMMAND="make lock" $(SUPPLY)/bin/pip-compile --quiet --generate-hashes \
		--allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		-c constraints.txt -o $(LOCK) pyproject.toml

# Installs exactly these files into .venv, or nothing.
locked: $(LOCK)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r $(LOCK)
	@$(PIP) install --no-deps -e .
	@touch $(VENV)/.run

# docs/sbom.json (CycloneDX) and docs/licences.md, of what is installed in .venv to run.
sbom: $(VENV)/.run $(SUPPLY)/.ready
	@sh scripts/sbom.sh "$(BIN)/python" "$(SUPPLY)/bin" $(LOCK)

# Known vulnerabilities of the pinned packages; asks a service on the network.
audit: $(SUPPLY)/.ready
	@$(SUPPLY)/bin/pip-audit --disable-pip --require-hashes -r $(LOCK)
