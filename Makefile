# The two commands of the README, `make demo` and `make test`, set up all that they need in .venv.
PYTHON ?= python3
BIN := .venv/bin
TORCH := 2.13.0
DEMO := demo-output
# torch reads sources with the locale's encoding, which may be ASCII where there is no screen
export PYTHONUTF8 := 1
# threads that wait do not spin: two processes on two cores would hold each other up
export OMP_WAIT_POLICY := PASSIVE

.PHONY: setup demo test lint library panels clean

setup: .venv/ready

# torch first: asked for by another package, pip would take its newest build with gigabytes of CUDA
.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "torch==$(TORCH)"
	echo "torch==$(TORCH)" > .venv/constraints.txt
	$(BIN)/python -m pip install --quiet --constraint .venv/constraints.txt --editable ".[dev,host]"
	$(BIN)/python -c "import torch, DiffRegLib; assert torch.__version__.split('+')[0] == '$(TORCH)', torch.__version__"
	touch $@

demo: setup
	$(BIN)/python -m Testing.demo $(DEMO)

test: lint library panels

# style, the layers between the rooms, types
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

# a process a core takes tests from the others when it has none left; each computes with one thread
library panels: export OMP_NUM_THREADS := 1
library panels: setup
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal Testing/$@

clean:
	rm -rf .venv $(DEMO) build .mypy_cache .import_linter_cache
