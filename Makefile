# Recollect's commands; `make` alone lists them. Each one makes the environment it needs.

PYTHON ?= python3
VENV ?= .venv
SERVING_VENV ?= .venv-serving
TRAINING_VENV ?= .venv-training
PROCESSES ?= 1
BIN = $(VENV)/bin
READY = $(VENV)/.ready
TINY_READY = $(VENV)/.tiny-ready
TINY_PACKAGE = models/recollect-tiny

# Taken as typed, so that quotes and dollar signs in a question reach the program unchanged.
override export VIDEO := $(value VIDEO)
override export ASK := $(value ASK)
override export OUT := $(value OUT)

.DEFAULT_GOAL := help
.PHONY: help demo demo-lmm docs test test-all lint format bench serving-env train-tiny constraints clean

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  make demo VIDEO=my.mp4 ASK="When does somebody come in?"   your own video and question'
	@echo '  PYTHON=python3.12 and VENV=some/folder choose another Python and another environment'

demo: $(READY)  ## watch a video and answer questions about it
	@$(BIN)/recollect demo $${VIDEO:+"--video=$$VIDEO"} $${ASK:+"--ask=$$ASK"} $${OUT:+"--out=$$OUT"}

demo-lmm: $(READY) $(TINY_READY)  ## the same with a video LMM: a real vLLM on the CPU serves a tiny one, and the agent thinks with it
	@test -n "$$RECOLLECT_SERVE__PYTHON" || scripts/serving-env/make.sh "$(SERVING_VENV)" "$(PYTHON)"
	@RECOLLECT_SERVE__PYTHON="$${RECOLLECT_SERVE__PYTHON:-$(abspath $(SERVING_VENV))/bin/python}" \
		$(BIN)/recollect demo --lmm $${OUT:+"--out=$$OUT"}

test: $(READY)  ## run the quick tests
	@$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

test-all: $(READY) $(TINY_READY)  ## run every test
	@$(BIN)/python -m pytest

lint: $(READY)  ## check format, style and types; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks/*.py
	cd .typing && $(abspath $(BIN))/lint-imports --no-cache --config ../pyproject.toml
	$(BIN)/python scripts/check_structure.py

docs: $(READY)  ## build the documentation site in ./site
	@$(BIN)/python -c 'import mkdocs, mkdocstrings' 2>/dev/null || \
		$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(READY)  ## put the code in the project's format
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

bench: $(READY)  ## run the benchmarks; hours
	@for script in $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py)); do \
		echo "== $$script"; $(BIN)/python "$$script" || exit 1; \
	done

serving-env:  ## make .venv-serving, where vLLM runs on the CPU (SERVING_VENV chooses another folder)
	@scripts/serving-env/make.sh "$(SERVING_VENV)" "$(PYTHON)"
	@echo "to use it: export RECOLLECT_SERVE__PYTHON=$(abspath $(SERVING_VENV))/bin/python"

# Memory is kept for the next step: to take it anew from the system each time costs a sixth of all time.
train-tiny: $(TRAINING_VENV)/.ready  ## train the tiny video LMM, or go on with it; hours on a CPU (PROCESSES=2 for two cores)
	@OMP_WAIT_POLICY=PASSIVE MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=4000000000 \
		nice -n 19 $(TRAINING_VENV)/bin/torchrun --standalone --nproc-per-node "$(PROCESSES)" \
		-m recollect.evals.tiny.train "$${OUT:-.training/tiny}" $(if $(STEPS),--steps "$(STEPS)") \
		$(if $(WEIGHTS),--weights "$(WEIGHTS)") $(if $(RATE),--rate "$(RATE)")

constraints:  ## pin the newest versions that fit together in constraints.txt
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	echo "resolving anew, a minute or two" && \
	$(PYTHON) -m venv "$$fresh" && "$$fresh/bin/pip" install -qq --disable-pip-version-check -e ".[dev]" && \
	"$$fresh/bin/pip" freeze --exclude-editable --exclude pip --exclude setuptools > "$$fresh/pins" && \
	{ head -n 1 constraints.txt && cat "$$fresh/pins"; } > "$$fresh/constraints" && \
	cp "$$fresh/constraints" constraints.txt

clean:  ## remove what these commands made: the environments, demo, builds and caches
	rm -rf .venv .venv-serving .venv-training build dist site demo demo-lmm recollect.egg-info $(TINY_PACKAGE)/build $(TINY_PACKAGE)/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || \
		{ echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Recollect needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || echo "making $(VENV), a minute or two the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

# The weights of recollect-tiny are a package of their own, which Recollect does without.
$(TINY_READY): $(READY) $(TINY_PACKAGE)/pyproject.toml $(wildcard $(TINY_PACKAGE)/recollect_tiny/*.py $(TINY_PACKAGE)/recollect_tiny/weights/*)
	@$(BIN)/pip install -qq --disable-pip-version-check ./$(TINY_PACKAGE)
	@touch $@

# The torchvision of the package index is for CUDA, and does not load beside a torch for the CPU; see the shim.
$(TRAINING_VENV)/.ready: pyproject.toml constraints.txt
	@echo "making $(TRAINING_VENV): some minutes, and some GB where pip finds torch for a GPU alone"
	@$(PYTHON) -m venv $(TRAINING_VENV)
	@$(TRAINING_VENV)/bin/pip install -qq --disable-pip-version-check -c constraints.txt -e ".[tiny]" pytest
	@$(TRAINING_VENV)/bin/python -c 'import torchvision' 2>/dev/null || { \
		site=$$($(TRAINING_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
		cp scripts/serving-env/torchvision_cpu_shim.py "$$site" && \
		echo "import torchvision_cpu_shim" > "$$site/torchvision_cpu_shim.pth"; }
	@touch $@
