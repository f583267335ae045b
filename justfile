# The tools are those of the environment that `just` itself is installed in.
export PATH := parent_directory(just_executable()) + ":" + env("PATH")

# Lists the entries.
default:
    @just --list

# Formats, and repairs what can be repaired.
fix:
    ruff check --fix .
    ruff format .

# Ruff, pyright, import contracts.
check:
    ruff check .
    ruff format --check .
    pyright
    lint-imports

# The tests that need no Ray.
test *options:
    python -m pytest -n 2 -m "not ray and not nightly" {{options}}

# The tests on Ray.
test-ray *options:
    python -m pytest -m "ray and not nightly" {{options}}

# The site below docs/, into site/. Warnings are errors: a broken link, a name that the reference lacks.
docs *options:
    NO_MKDOCS_2_WARNING=1 mkdocs build --strict {{options}}

# The same at http://127.0.0.1:8000, built anew whenever a page changes.
docs-serve *options:
    NO_MKDOCS_2_WARNING=1 mkdocs serve --dev-addr 127.0.0.1:8000 {{options}}

# Makes docs/checklist.md of what tests/checklist says, and names the features that no test shows.
checklist:
    python -m tests.checklist --write

# Side by side with raw Ray and the peers, whose environments are made on demand: `just bench --help`, `just bench fanout --plot out.svg`.
bench *options:
    python -m benchmarks {{options}}

# Everything that is too long for every commit.
nightly *options:
    python -m pytest -m nightly --timeout 3600 {{options}}
    RAYFLOW_SCENARIOS_ON=s3 python -m pytest tests/scenarios --timeout 3600
    RAYFLOW_SCENARIOS_ON=flaky-s3 python -m pytest tests/scenarios --timeout 3600
    python -m tests.crash.kill --kills 200

# What flows deploy to schedulers, by the schedulers' own tools: Airflow 2 and 3, hera, asl-validator; installed below .schedulers/ (1.5 GB).
schedulers *options:
    python -m tests.submission.schedulers.tools
    python -m pytest -m nightly --timeout 600 tests/submission/schedulers/test_tools.py {{options}}

# What CI runs. The tests on Ray come after the others: two clusters at once on two cores would only wait for each other.
all: check
    python -m pytest -n 2 -m "not ray and not nightly"
    python -m pytest -m "ray and not nightly"
