# make demo   the whole pipeline on real data and an emulated board
# make unit   the unit tests, in two minutes
# make test   all tests that take seconds; `make test-all` adds the slow ones
VENV ?= .venv
export VENV
# modules are compiled once, not by each of the many processes of a test run
unexport PYTHONDONTWRITEBYTECODE
RUN := $(VENV)/bin
C_FILES = $(shell git ls-files -co --exclude-standard '*.c' '*.h')

.PHONY: demo unit test test-all lint format docs wheel sbom audit setup clean

setup:
	@scripts/setup.sh

demo: setup
	$(RUN)/edgeflow demo

unit: setup
	$(RUN)/python -m pytest tests/unit -n 2 --dist worksteal

test: setup
	$(RUN)/python -m pytest -n 2 --dist worksteal

test-all: setup
	$(RUN)/python -m pytest --slow -n 2 --dist worksteal

lint: setup
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports --no-cache
	$(RUN)/clang-format --dry-run --Werror $(C_FILES)

format: setup
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .
	$(RUN)/clang-format -i $(C_FILES)

# The site, in site/; any warning is an error. NO_MKDOCS_2_WARNING: not material's advertisement.
docs: setup
	$(RUN)/python scripts/docs_tables.py --check
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict

wheel: setup
	$(RUN)/python -m build --wheel --no-isolation

# What is installed, as CycloneDX, in dist/sbom.json.
sbom: setup
	@scripts/supply_chain.sh sbom

# Known vulnerabilities of it: by hand, as it asks a service in the internet.
audit: setup
	@scripts/supply_chain.sh audit

clean:
	rm -rf build dist edgeflow-demo site
