# `make` alone lists the targets. Tools are Go modules pinned under tools/, built when first needed; `make demo` and
# `make test` need none of them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
BUF ?= go tool -modfile=tools/buf/go.mod buf
export BUF

# What to test, and further flags for go test: make test PKGS=./internal/database TESTFLAGS=-v
PKGS ?= ./...
TESTFLAGS ?=
PYTEST ?=
# Tests begin in the order in which they are named: with those that take longest, none of them is left over to run alone at the end.
LONGEST := ./server ./materialize ./cmd/headwater ./dataset

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: deps build ## The whole story on real flights, with servers of its own
	@scripts/demo.sh

.PHONY: demo-access
demo-access: deps build ## One policy in both stores: the same people see the same in a dataset and online
	@scripts/demo-access.sh

.PHONY: demo-credit
demo-credit: deps build ## A customer of low risk is flagged, and traced to a wrong file of a credit bureau
	@scripts/demo-credit.sh

.PHONY: demo-revenue
demo-revenue: deps build ## What is missing shifts between training and production: seen at the run, at the dataset and in what was served
	@scripts/demo-revenue.sh

.PHONY: demo-hiring
demo-hiring: deps build ## Decisions with a prejudice: nobody trains on them before somebody else has looked at outcomes by group
	@scripts/demo-hiring.sh

.PHONY: demo-python
demo-python: deps build ## A model is trained on real flights through a dataset, and predicts through online features
	@scripts/demo-python.sh

.PHONY: test
test: deps ## All tests, Go's and Python's, on servers of their own (RACE=1: with the race detector)
	@mkdir -p .cache/bin
	@go build -o .cache/bin/withservers ./internal/testenv/cmd/withservers
	@echo "==> go test$(if $(RACE), -race) $(PKGS)"
	@.cache/bin/withservers $(if $(RACE),env CGO_ENABLED=1) go test -timeout 45m $(if $(RACE),-race) $(TESTFLAGS) $(if $(filter ./...,$(PKGS)),$(LONGEST)) $(PKGS)
	@$(if $(filter ./...,$(PKGS)),$(MAKE) test-python)

.PHONY: test-python
test-python: deps build ## The tests and examples of the Python client, against a server of their own (PYTEST='-k spine': some of them)
	@echo "==> pytest"
	@scripts/test-python.sh $(PYTEST)

.PHONY: test-postgres-versions
test-postgres-versions: deps ## What SQL is made of, lineage by column and partitions, on Postgres 16, 17 and 18, which are fetched for them
	@mkdir -p .cache/bin
	@go build -o .cache/bin/withservers ./internal/testenv/cmd/withservers
	@for major in 16 17 18; do \
		echo "==> go test ./offline ./lineage ./internal/database, on Postgres $$major"; \
		folder=$$(scripts/postgres.sh $$major) && HEADWATER_PG_BIN="$$folder" .cache/bin/withservers \
			go test -timeout 30m -count=1 -run 'Corpus|Columns|Backfills|Copies|Partitions' $(TESTFLAGS) ./offline ./lineage ./internal/database || exit 1; \
	done

.PHONY: test-valkey
test-valkey: deps ## The tests of the online store on a Valkey, which is installed for them
	@echo "==> go test ./online, on Valkey"
	@folder=$$(scripts/valkey.sh) && PATH="$$folder:$$PATH" HEADWATER_REDIS_BIN="$$folder" \
		go test -timeout 30m -count=1 -skip '^TestTLS$$' $(TESTFLAGS) ./online

.PHONY: bench-windows
bench-windows: deps ## How fast windowed aggregations are computed, on a Postgres of its own
	@mkdir -p .cache/bin
	@go build -o .cache/bin/withservers ./internal/testenv/cmd/withservers
	@go build -o .cache/bin/bench-windows ./bench/windows
	@.cache/bin/withservers .cache/bin/bench-windows

.PHONY: bench-lineage
bench-lineage: deps build ## How fast lineage is answered over 10,000 views and a million runs, on a Postgres of its own (BENCH_SCALE=small: a tenth)
	@mkdir -p .cache/bin
	@go build -o .cache/bin/bench-lineage ./bench/lineage
	@.cache/bin/bench-lineage

.PHONY: bench-quality
bench-quality: deps build ## What profiles take of runs, on two servers of its own (BENCH_SCALE=small: a tenth, in a minute)
	@mkdir -p .cache/bin
	@go build -o .cache/bin/bench-quality ./bench/quality
	@.cache/bin/bench-quality --headwater bin/headwater

.PHONY: bench-runs
bench-runs: deps build ## What a run takes beside plain COPY and HSET, on servers of its own (BENCH_SCALE=small: a tenth, in minutes)
	@mkdir -p .cache/bin
	@go build -o .cache/bin/bench-runs ./bench/runs
	@.cache/bin/bench-runs --headwater bin/headwater

.PHONY: bench-datasets
bench-datasets: deps build ## What a training dataset takes beside SQL by hand, ROW_NUMBER and DuckDB (BENCH_SCALE=small: a tenth, in minutes)
	@mkdir -p .cache/bin
	@go build -o .cache/bin/bench-datasets ./bench/datasets
	@.cache/bin/bench-datasets --headwater bin/headwater

.PHONY: soak
soak: deps build ## Online reads for half an hour beside loads and runs, held to what was loaded, with a server's memory watched (SOAK=3m)
	@echo "==> soak"
	@mkdir -p .cache/bin
	@go build -o .cache/bin/bench-soak ./bench/soak
	@.cache/bin/bench-soak --headwater bin/headwater --for $(or $(SOAK),30m)

.PHONY: bench-access
bench-access: deps build ## What a decision, a row filter, grants and masks take of an online read (BENCH_SCALE=small: a tenth)
	@echo "==> bench-access"
	@mkdir -p .cache/bin
	@go build -o .cache/bin/bench-serve ./bench/serve
	@.cache/bin/bench-serve --headwater bin/headwater --only access

.PHONY: bench-serve
bench-serve: deps build ## What an online read takes beside a gRPC echo, plain HMGET and Feast's layout (BENCH_SCALE=small: a tenth, in a minute)
	@mkdir -p .cache/bin
	@go build -o .cache/bin/bench-serve ./bench/serve
	@.cache/bin/bench-serve --headwater bin/headwater

.PHONY: dev
dev: deps build ## A server that stays, with its own Postgres and Redis
	@bin/headwater dev

.PHONY: build
build: check-go ## bin/headwater
	@echo "==> build bin/headwater $(VERSION)"
	@go build -trimpath -ldflags '-X main.stamp=$(VERSION)' -o bin/headwater ./cmd/headwater

.PHONY: ci
ci: ## All that must hold before a change is taken: lint, check-generate, test with race, and without what it leaves out, the demos
	@$(MAKE) lint
	@$(MAKE) check-generate
	@$(MAKE) test RACE=1 TESTFLAGS=-vet=off
	@$(MAKE) test PKGS=./cmd/headwater TESTFLAGS='-run CrashesLeaveNoTrace'
	@$(MAKE) test PKGS=./internal/rawconn
	@$(MAKE) demo
	@$(MAKE) demo-access
	@$(MAKE) demo-credit
	@$(MAKE) demo-revenue
	@$(MAKE) demo-hiring
	@$(MAKE) demo-python

.PHONY: lint
lint: check-go ## Format, vet, staticcheck, buf on the protos, ruff and mypy on the Python client
	@echo "==> lint"
	@scripts/lint.sh

.PHONY: fmt
fmt: check-go ## Format the Go and Python code
	@go fmt ./...
	@scripts/python-env.sh
	@.cache/python/bin/python -m ruff format --quiet --no-cache python
	@.cache/python/bin/python -m ruff format --quiet --no-cache --config python/pyproject.toml examples

.PHONY: generate
generate: check-go ## gen/, the Python stubs, the tables of docs/definitions.md and the JSON Schema from proto/
	@echo "==> generate"
	@scripts/generate.sh

.PHONY: check-generate
check-generate: check-go ## Fails when what is generated is not what proto/ generates
	@echo "==> check-generate"
	@scripts/generate.sh --check

.PHONY: deps
deps: check-go ## Installs Postgres and Redis server programs where they are missing
	@scripts/install-deps.sh $(if $(RACE),--race)

.PHONY: check-go
check-go:
	@scripts/check-go.sh
