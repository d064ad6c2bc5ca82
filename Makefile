# Every target sets up what it needs by itself: see ci/setup.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Debian keeps servers in /usr/sbin, which is not on every user's PATH.
export PATH := $(PATH):/usr/sbin:/sbin

# gin's MessagePack codec, which nothing here speaks, would make a tenth of the program.
BUILDFLAGS  ?= -trimpath -tags nomsgpack

# The servers that tests talk to can change where Go's test cache does not look, so results are never taken from it.
TESTFLAGS ?= -count=1

.PHONY: help build demo test lint generate bench-roll bench-plan clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## compile bin/railyard
	go build $(BUILDFLAGS) -o bin/railyard ./cmd/railyard

demo: ## set up and run the main job on this machine, with a page to watch it and a repository to push to
	@ci/setup run
	@$(MAKE) --no-print-directory build
	@exec bin/railyard demo

test: ## set up and run every test, with the race detector
	@ci/setup test
	@ci/test $(TESTFLAGS)

lint: ## set up and run every check that is not a test
	@ci/setup lint
	@ci/lint

generate: ## write the generated code anew, from the API's contract and the SQL queries
	@ci/setup generate
	@ci/generate

bench-roll: ## set up and measure a roll of 12 servers: Railyard, Ansible, and the steps alone; BENCHFLAGS="-runs 5 -ansible 2"
	@ci/setup bench
	@go build -trimpath -o bin/bench-roll ./ci/bench-roll
	@exec bin/bench-roll $(BENCHFLAGS)

bench-plan: ## measure planning: 40 Trains of a company with 3,000 pools, and one Train among them; PLANCOUNT=5
	@go test ./internal/ar -run '^$$' -bench BenchmarkPlan -benchmem -count=$(or $(PLANCOUNT),5)
	@go test ./server -run '^$$' -bench BenchmarkPreview -count=$(or $(PLANCOUNT),5)

clean: ## remove what these targets built, the tools included
	rm -rf bin coverage.out
