# Two commands on a fresh machine with Python 3.11+, a C++ compiler and make: `make demo`, `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VENV_BENCH := .venv-bench
VENV_INTEROP := .venv-interop
VENV_SANITIZE := .venv-sanitize
SOURCES := pyproject.toml CMakeLists.txt $(wildcard native/*.* native/kernels/*)

.PHONY: help demo test test-all interop sanitize bench lint format types wheel clean

help:
	@echo "make demo      set up, train on the handwritten digits, show the result"
	@echo "make test      set up, run the tests"
	@echo "make test-all  the same with the long random runs"
	@echo "make interop   exchange files with Keras on JAX, and with ONNX's tools (1 GB to install)"
	@echo "make sanitize  run the C++ core's tests with address and undefined-behaviour sanitizers"
	@echo "make bench     time it beside its peers (3 GB to install); ONLY=training BENCH='--rounds 3'"
	@echo "make lint      check style, formatting and types"
	@echo "make format    format the code"
	@echo "make wheel     build the wheel into dist/"
	@echo "make clean     remove everything that these commands made"

# --- setting up: one virtual environment; a stamp says which extras it holds ---

$(BIN)/python $(VENV_BENCH)/bin/python $(VENV_SANITIZE)/bin/python $(VENV_INTEROP)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "convlet needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	         "Name another: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(@D)/..

$(VENV)/.demo: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[learn]'
	@touch $@

$(VENV)/.test: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.demo

# A build folder of its own: two environments that share one would rebuild under each other's feet.
$(VENV_BENCH)/.bench: $(VENV_BENCH)/bin/python $(SOURCES)
	$(VENV_BENCH)/bin/python -m pip install --quiet --config-settings=build-dir=build/bench \
	  --editable '.[bench]'
	@touch $@

$(VENV_INTEROP)/.interop: $(VENV_INTEROP)/bin/python $(SOURCES)
	$(VENV_INTEROP)/bin/python -m pip install --quiet --config-settings=build-dir=build/interop \
	  --editable '.[interop]'
	@touch $@

$(VENV_SANITIZE)/.sanitize: $(VENV_SANITIZE)/bin/python $(SOURCES)
	$(VENV_SANITIZE)/bin/python -m pip install --quiet --config-settings=build-dir=build/sanitize \
	  --config-settings=cmake.define.CONVLET_SANITIZE=ON --editable '.[test]'
	@touch $@

# --- the two commands ---

demo: $(VENV)/.demo
	@$(BIN)/python examples/digits.py

test: $(VENV)/.test
	$(BIN)/python -m pytest

test-all: $(VENV)/.test
	$(BIN)/python -m pytest --slow

# --- for developers ---

# JAX comes with warnings of its own, which are none of ours.
interop: $(VENV_INTEROP)/.interop
	KERAS_BACKEND=jax $(VENV_INTEROP)/bin/python -m pytest -W default tests/interop
	$(VENV_INTEROP)/bin/python -m pytest -m interop tests/saving tests/cli

# What the C++ core reads and writes is checked by libraries of GCC's that must be there before
# anything else is; Python's own memory is not our concern. The first error ends the run.
sanitize: $(VENV_SANITIZE)/.sanitize
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	  $(VENV_SANITIZE)/bin/python -m pytest -p no:cacheprovider tests/engine tests/layers \
	  tests/optimizers tests/test_config.py

bench: $(VENV_BENCH)/.bench
	@$(VENV_BENCH)/bin/python benchmarks/run.py $(if $(ONLY),--only $(ONLY)) $(BENCH)

lint: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

wheel: $(VENV)/.test
	$(BIN)/python -m build --wheel --outdir dist

clean:
	rm -rf $(VENV) $(VENV_BENCH) $(VENV_SANITIZE) $(VENV_INTEROP) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf digit-images digits.safetensors
