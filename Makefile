# Convolutional Neural Networks, Exercises Answered: every command, `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help book pdf test test-tools test-site student data lab refresh colab lint bench study \
	weights portability mutants alarms lock newest links clean environment site-environment
# Also for the make of macOS, 3.81: it knows no .SHELLFLAGS, so pipes set pipefail.
SHELL := /bin/bash
# The reader's settings for Python could hide our packages or change what runs.
unexport PYTHONHOME PYTHONPATH PYTHONPLATLIBDIR PYTHONSAFEPATH PYTHONEXECUTABLE \
	PYTHONOPTIMIZE PYTHONWARNINGS PYTHONSTARTUP PYTHONINSPECT PYTHONUSERBASE \
	PYTHONDONTWRITEBYTECODE PYTEST_ADDOPTS
# Files are read and names are printed as UTF-8, whatever the locale.
export PYTHONUTF8 := 1
# IPython and others do not start for a user without a home folder.
ifeq ($(shell { [ ~ != / ] && [ -d ~ ] || [ -w ~ ]; } && echo yes),)
export HOME := $(CURDIR)/_build/home
endif
# Relative to this folder, also in the notebooks, which run in chapters/.
ifneq ($(D2L_DATA),)
override D2L_DATA := $(if $(filter /% ~%,$(firstword $(D2L_DATA))),,$(CURDIR)/)$(D2L_DATA)
export D2L_DATA
endif

# The first Python on the path that will do; without one, tools/environment.py says so.
PYTHON ?= $(shell for p in python3.11 python3.14 python3.13 python3.12 python3 python; do \
	if $$p -I -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	2>/dev/null; then echo $$p; exit; fi; done; command -v python3 || echo python3.11)
RUN := .venv/bin/python
NOTEBOOKS ?= chapters _build/student

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

# All of the lock, or the part of it that building the site needs.
environment: site-environment
environment site-environment:
	@command -v "$(PYTHON)" >/dev/null || \
		{ echo "make: Python 3.11 to 3.14 is needed, but there is no $(PYTHON)" >&2; \
		exit 1; }
	@"$(PYTHON)" -I tools/environment.py $(if $(filter site-%,$@),site,all)

# A change of these may change every page; after any other, only what changed is read.
FRAME := _config.yml _toc.yml _ext _static _vendor _play .venv/installed-site solutions \
	tools _build/pdf/book.pdf
NOT_NEWER = test -z "$$(find $(1) -newer $(2) -not -path '*__pycache__*' 2>/dev/null)"
IS_CURRENT := test -f _build/built && $(call NOT_NEWER,$(FRAME),_build/built) && \
	{ ! test -f _build/html/book.pdf || $(call NOT_NEWER,chapters,_build/html/book.pdf); }

book: site-environment ## build the site from the stored outputs into _build/html
	@$(IS_CURRENT) || rm -rf _build/html _build/.doctrees
	@rm -f _build/built # a page with a warning is read again, until it has none
	@.venv/bin/jupyter-book build . -W -n --keep-going --quiet
	@touch _build/built
	@echo "The book is built: open _build/html/index.html in a browser."

pdf: environment ## write the whole book as one PDF, and offer it on the site
	@$(RUN) -m tools.site.pdf
	@$(MAKE) --no-print-directory book

# FULL=yes trains everything in 6.6 again, and not only a part of it.
test: environment data ## test the answers, and run every notebook against its outputs
	@$(RUN) -m tools.site.student
	@D2L_FULL=$(or $(FULL),no) $(if $(filter yes,$(FULL)),CELL_LIMIT=$(or $(CELL_LIMIT),7200)) \
		$(RUN) -m pytest -n auto --dist loadfile --no-loadscope-reorder \
		--doctest-modules --nbval --deviations _build/deviations.json \
		tests solutions $(NOTEBOOKS)

test-tools: environment data ## test what tests: the regression itself, and the other tools
	@$(RUN) -m pytest -n auto --dist loadfile --doctest-modules tests/tools tools

test-site: environment data book ## test the built site in a headless browser
	@$(RUN) -m tools.site.browser
	@$(RUN) -m pytest -n auto --maxprocesses 4 tests/site

student: site-environment ## write the notebooks without answers into _build/student
	@$(RUN) -m tools.site.student

data: environment ## get Fashion-MNIST and MNIST, and verify them
	@$(RUN) -m solutions.training.data

lab: environment ## open the notebooks in JupyterLab
	@.venv/bin/jupyter-lab chapters

refresh: environment data ## execute the notebooks and rewrite their stored outputs
	@$(RUN) -m tools.regression.refresh

colab: environment ## set the notebooks up for Colab, by the address in _config.yml
	@$(RUN) -m tools.site.colab

lint: environment ## check style, types, spelling and the notebooks' form
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/codespell
	@$(RUN) -m tools.lint_notebooks
	@$(RUN) -m tools.reading_time
	@.venv/bin/zizmor --offline --quiet .github/workflows

bench: environment data ## measure the speed of training here; rewrites its page
	@$(RUN) -m tools.bench

study: environment data ## train every net of the study in 6.6; goes on where it stopped
	@$(RUN) -m tools.study

weights: environment data ## train the nets of the page LeNet to play with, write their files
	@$(RUN) -m tools.site.lenet

portability: environment data ## run the notebooks as other machines would (SLICE=yes: one)
	@$(RUN) -m tools.regression.portability $(if $(SLICE),slice)

mutants: environment data ## test the regression: mistakes that it must find (SAMPLE=8: few)
	@$(RUN) -m tools.regression.mutants $(if $(SAMPLE),--sample $(SAMPLE))

TIMES ?= 10
alarms: environment data ## run every notebook TIMES times: none may fail
	@$(RUN) -m tools.regression.alarms $(TIMES)

# One version of each package for all Pythons.
LOCK := .venv/bin/uv pip compile --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-header --quiet
lock: environment ## write requirements.lock anew from requirements*.txt
	@$(LOCK) requirements.txt --output-file requirements.lock

newest: environment ## write the newest of everything into the lock, to try it
	@mkdir -p _build/newest
	@for file in requirements*.txt; do \
		sed -E '/^jupyter-book/!s/==[^; ]+//' $$file >_build/newest/$$file; done
	@$(LOCK) --upgrade _build/newest/requirements.txt --output-file requirements.lock

links: site-environment ## check the book's links to other sites
	@.venv/bin/jupyter-book build . --builder linkcheck --path-output _build/links --quiet

clean: ## remove the site, the environment and every cache in this folder
	@rm -rf _build .venv .venv-install.log *.egg-info
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
