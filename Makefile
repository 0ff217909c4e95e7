# Everything a person or CI runs. Needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export MLFLOW_DISABLE_TELEMETRY = true
export DO_NOT_TRACK = true
export OMP_WAIT_POLICY = PASSIVE

.PHONY: install demo test lint docs constraints clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,spark]'
	touch $@

demo: install
	$(BIN)/fraud demo

test: install lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: install
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: install
	$(BIN)/python -m fraud.reference docs

# Pins every package the project needs; names and versions only.
constraints: install
	$(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check | grep -E '^[A-Za-z0-9_.-]+==' > constraints.txt

clean:
	rm -rf $(VENV) runs data/synthetic/demo
