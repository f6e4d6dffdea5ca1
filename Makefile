# Everything runs in .venv, which is made when it is missing or older than pyproject.toml.
PYTHON ?= python3
BIN := .venv/bin
# Two workers, each with a broker and a database server of its own: the suite waits a lot.
PYTEST := pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

FUZZED := hl7 dicom instance_number hl7_xml dicom_xml dicom_json
FUZZ_SECONDS ?= 600
CHAOS_SECONDS ?= 120
SOAK_MESSAGES ?= 1000000
SOAK_PER_SECOND ?= inf

.PHONY: setup demo test check lowest audit bench bench-plot soak chaos fuzz schemas kit

setup: .venv/.complete

.venv/.complete: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --upgrade "pip>=25.1"
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --editable . --group dev
	touch $@

demo: setup           # the main job on real input
	$(BIN)/bridge demo

test: setup           # the whole suite, against a real broker and a real database
	$(BIN)/python -m $(PYTEST)

check: setup          # what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

lowest:               # the whole suite once more, with each dependency at the lower bound in pyproject.toml
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip --quiet --disable-pip-version-check install uv
	.venv-lowest/bin/python -m uv pip install --quiet --resolution lowest-direct --editable ".[postgres]" --group dev
	.venv-lowest/bin/python -m $(PYTEST)

audit: setup          # known vulnerabilities of what is installed; asks a service on the network
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --group audit
	$(BIN)/python -m pip freeze --exclude-editable | $(BIN)/pip-audit --strict --no-deps --disable-pip -r /dev/stdin

bench: setup          # speed, as ratios on one machine; what was measured goes into bench.json
	$(BIN)/python tests/bench/bench.py --json bench.json

bench-plot: setup     # the picture and the table of docs/performance.md out of bench.json
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --group plot
	$(BIN)/python tests/bench/plot.py bench.json

soak: setup           # a day of traffic and more; what was measured goes into soak.jsonl, a line each percent
	$(BIN)/python -m tests.bench.soak --messages $(SOAK_MESSAGES) --per-second $(SOAK_PER_SECOND)

chaos: setup          # bridges, broker and database killed at random for CHAOS_SECONDS, on each database
	$(BIN)/python -m tests.chaos.run --seconds $(CHAOS_SECONDS) --database sqlite
	$(BIN)/python -m tests.chaos.run --seconds $(CHAOS_SECONDS) --database postgresql --processes 3

fuzz: $(addprefix fuzz-,$(FUZZED))  # each reader with mutated real input, FUZZ_SECONDS each; make -j2 fuzz runs two at once

fuzz-%: setup
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --group fuzz
	$(BIN)/python -m tests.fuzz.fuzz $* $(FUZZ_SECONDS)

schemas: setup        # after a change of the events or of channel files
	$(BIN)/python -m bridge.schema

kit: setup            # after a change of channels/mirth/scripts: the XML that a Mirth author imports
	$(BIN)/python -m tests.mirth.build
