PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test lint bench pretrained cards notebooks front clean

demo: .venv/installed
	$(BIN)/python -m zoo.demo

test: .venv/installed
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[bench]'
	$(BIN)/python -m tests.benchmarks

pretrained: .venv/installed
	$(BIN)/python -m zoo.pretrained

cards: .venv/installed
	$(BIN)/python -m tests.measure

notebooks: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[notebooks]'
	$(BIN)/python -m tests.notebooks

front: .venv/installed
	$(BIN)/python -m tests.front

clean:
	rm -rf .venv runs

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test]'
	touch $@
