# Two commands: `make run` serves the tutor, `make test` runs every check. Both make the environment first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test test-milvus format eval constraints clean help

run: $(VENV)/.installed  ## serve the tutor at http://127.0.0.1:7860 (first start builds the index)
	$(BIN)/tutor serve $(ARGS)

test: $(VENV)/.installed  ## every check: style, types, tests, the browser journey where Chromium is there
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(ARGS)

test-milvus: $(VENV)-milvus/.installed  ## the LangChain adapter over Milvus Lite, in an environment of its own
	$(VENV)-milvus/bin/python -m pytest -m milvus tests/milvus $(ARGS)

format: $(VENV)/.installed  ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

eval: $(VENV)/.installed  ## every eval that needs no model
	$(BIN)/tutor eval all

constraints:  ## maintainers: pin every dependency anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-header pyproject.toml -o constraints.txt
	uv pip compile --quiet --universal --python-version 3.11 --group milvus -c constraints.txt --no-header -o constraints-milvus.txt

clean:  ## remove the environments
	rm -rf $(VENV) $(VENV)-milvus

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else "Python 3.11 to 3.13 is needed, this is %d.%d. Try: make $(MAKECMDGOALS) PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)-milvus/.installed: constraints-milvus.txt
	$(PYTHON) -m venv $(VENV)-milvus
	$(VENV)-milvus/bin/python -m pip install --quiet --disable-pip-version-check -r constraints-milvus.txt
	@touch $@
