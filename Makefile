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
	@$(BIN)/python -m pytest -m "not models"

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
