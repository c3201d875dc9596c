PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

WORKERS ?= 2

.PHONY: demo check test test-long lint docs bench clean

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

# The quick half of the tests, for between two changes.
check: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not long" tests

# Every test but the long ones. Each worker has one thread.
test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(WORKERS) -m "not long"

test-long: $(VENV)/.installed
	$(BIN)/python -m pytest -m long

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed
	$(BIN)/python -m sphinx -W --keep-going -q -E -d docs/_build/doctrees docs docs/_build/html
	@echo see docs/_build/html/index.html

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks

$(VENV)/.installed: pyproject.toml constraints.txt tests/requirements-alone.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/requirements-alone.txt
	touch $@

clean:
	rm -rf $(VENV) demo docs/_build
