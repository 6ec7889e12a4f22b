# Callplane. `make` lists what there is.
#
# Everything a target needs it sets up itself.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export CGO_ENABLED := 0
GO          ?= go
BIN         := bin
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS     := -s -w -X main.version=$(VERSION)
VAR         := $(CURDIR)/var
FUZZTIME    ?= 20s
REPORT       = $(GO) run ./cmd/testreport
# Packages with tests on a real switch or server, or on every database.
IT_PACKAGES  = $(shell grep -rlE '^//go:build it$$|kernel/db/dbtest"' --include=*_test.go . | xargs -n1 dirname | sort -u)

.DEFAULT_GOAL := help
.PHONY: help setup build run demo-call stop sandbox sandbox-clean test unit it e2e ui chaos bench fuzz lint rows clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 18

setup: ## install the few Debian packages that are needed (as root)
	@bash docker/setup.sh

build: ## build bin/callplane and the tools beside it
	@mkdir -p $(BIN)
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...

run: setup build ## prepare a real Asterisk, start Callplane with a demo centre, and print how to get in
	@$(BIN)/demo up --dir $(VAR)

demo-call: ## with `make run` up: place a call and print its timeline and recording
	@$(GO) build -o $(BIN)/ ./cmd/demo
	@$(BIN)/demo call --dir $(VAR)

sandbox: setup ## prepare the tree with Asterisk and MySQL, without Docker
	@$(GO) run ./cmd/sandbox prepare

sandbox-clean: ## stop every sandbox instance and remove the tree
	@$(GO) run ./cmd/sandbox clean

test: unit it e2e ui ## all tests

# Each layer prints a line for each package, what failed tests wrote, and its totals; .ci/run adds the totals up.
REPORT := $(GO) run ./cmd/testreport

unit: setup ## tests that need no switch and no server
	$(GO) vet ./...
	$(REPORT) -- $(GO) test -json ./...

it: setup ## tests on a real Asterisk and a real MySQL
	$(GO) run ./cmd/sandbox prepare
	$(GO) vet -tags it ./...
	$(REPORT) -- $(GO) run ./cmd/sandbox with mysql -- $(GO) test -json -tags it -timeout 20m $(IT_PACKAGES)

e2e: setup ## real calls through the real binary
	$(GO) run ./cmd/sandbox prepare
	$(GO) vet -tags e2e ./...
	$(REPORT) -v -- $(GO) test -json -tags e2e -timeout 30m ./app/e2e/...

ui: ## tests in a real browser: they come with the desktop
	@echo "There is no desktop yet: nothing to test in a browser."

chaos: setup ## kill, cut and fill things under live calls
	$(GO) run ./cmd/sandbox prepare
	@$(GO) test -tags 'e2e chaos' -run '^TestChaos$$' -timeout 30m -count 1 -v ./app/e2e | tee /tmp/callplane-chaos.log | grep -vE '^(=== |chaos )' && failed=0 || failed=1; \
		grep '^chaos ' /tmp/callplane-chaos.log; exit $$failed

bench: setup ## measure against the switch's own queue; one JSON line for each figure
	$(GO) run ./cmd/sandbox prepare
	$(GO) run ./cmd/bench

fuzz: ## fuzz what parses outside bytes, FUZZTIME each
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg 2>/dev/null | grep '^Fuzz' || true); do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

lint: ## formatting and vet, with all build tags
	@test -z "$$(gofmt -l cmd app dialplans sounds sql docker | tee /dev/stderr)"
	$(GO) vet -tags 'it e2e chaos' ./...

rows: ## which requirement is proven by which tests
	@$(GO) run ./cmd/rows

clean: ## remove what was built
	rm -rf $(BIN)
