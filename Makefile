# Everything runs in .venv, which is made when it is missing or older than pyproject.toml.
PYTHON ?= python3
BIN := .venv/bin

FUZZED := hl7 dicom instance_number hl7_xml dicom_xml dicom_json
FUZZ_SECONDS ?= 600
CHAOS_SECONDS ?= 120

.PHONY: setup demo test check bench chaos fuzz schemas

setup: .venv/.complete

.venv/.complete: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --upgrade "pip>=25.1"
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --editable . --group dev
	touch $@

demo: setup           # the main job on real input
	$(BIN)/bridge demo

test: setup           # the whole suite, against a real broker and a real database
	$(BIN)/python -m pytest

check: setup          # what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

bench: setup          # speed, as ratios on one machine
	$(BIN)/python tests/bench/bench.py

chaos: setup          # bridges, broker and database killed at random for CHAOS_SECONDS, on each database
	$(BIN)/python -m tests.chaos.run --seconds $(CHAOS_SECONDS) --database sqlite
	$(BIN)/python -m tests.chaos.run --seconds $(CHAOS_SECONDS) --database postgresql --processes 3

fuzz: $(addprefix fuzz-,$(FUZZED))  # each reader with mutated real input, FUZZ_SECONDS each; make -j2 fuzz runs two at once

fuzz-%: setup
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --group fuzz
	$(BIN)/python -m tests.fuzz.fuzz $* $(FUZZ_SECONDS)

schemas: setup        # after a change of the events
	$(BIN)/python -m bridge.schema
