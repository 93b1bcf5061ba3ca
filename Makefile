# `make` alone prints what there is to make.
#
# Needed: Go and make. What else a target needs (a C compiler for the race
# detector, curl for the smoke test) is installed when it is missing, if this
# is a Debian or Ubuntu machine and the user is root.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# Package schedule shares only its caches, which one of its tests is about; all
# that it does else takes minutes under the race detector.
SHARING := . ./internal/api ./internal/auth ./internal/config ./internal/harness/... ./internal/store ./internal/target
# SQLite is C in Go and takes five to ten times as long under the race detector;
# what is looked at is what calls it.
RACING := CGO_ENABLED=1 go test -race -gcflags=modernc.org/...=-race=false
# The same tests on PostgreSQL: the code that differs there is the store's, whose
# own tests all run. It stands last in what is left out: go test -skip asks no
# pattern of whole tests behind one that begins with a slash.
AGAIN     := ^TestPostgres$$|/^postgres$$
# Requests one after another, of which there are many: what of the attacks happens
# at once is left to the race detector.
INTURN    := TestAttacks/(tokens|claims|refresh|members|bodies|requests|keys|limits)
# What one goroutine does alone, for long: it fills a database with a hundred
# megabytes, or its time is measured.
ALONE     := TestHistoryMax$$|TestTheLogIsCut|TestRedaction/its_time
# What of the engine's tests is long because it does the same again and again.
REPEATING := TestFiring/twenty|TestOneJob|TestRetention|TestKill|TestOwnersTakeTurns|TestHostLimits

ROUNDS   ?= 200
DURATION ?= 10m
# A number of inputs; a time (10s) works too, but go test -fuzz now and then calls
# the end of its own time a failure: "context deadline exceeded".
FUZZTIME ?= 300000x

# Outside a git checkout that may be read, a binary is built without its commit.
export GOFLAGS ?= -buildvcs=$(shell git status >/dev/null 2>&1 && echo auto || echo false)

# $(call need,command,package) makes sure that a command is there.
need = command -v $(1) >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qqy --no-install-recommends $(2) >/dev/null; } || { echo "$(1) is missing: install the package $(2)"; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help build test check fmt vet lint vuln race fuzz smoke recipes crash faults chaos dst bench cover clean

help: ## print this
	@echo "make <target>, of which there are:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-7s %s\n", $$1, $$2}' Makefile

build: ## the binary: bin/jadwal
	go build -trimpath -o bin/jadwal ./cmd/jadwal

test: ## every test
	go test -timeout 20m ./...

check: fmt vet lint test race ## all that a change must pass: fmt, vet, lint, test, race, short fuzz, smoke, recipes, faults, short crash and chaos
	@$(MAKE) --no-print-directory fuzz FUZZTIME=50000x
	@$(MAKE) --no-print-directory smoke
	@$(MAKE) --no-print-directory recipes
	@$(MAKE) --no-print-directory faults
	@$(MAKE) --no-print-directory crash
	@$(MAKE) --no-print-directory chaos DURATION=1m

fmt: ## is everything formatted as gofmt does it?
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "these files want gofmt -w"; exit 1; }

vet: ## go vet
	go vet ./...

lint: ## staticcheck, of one fixed version
	go run $(STATICCHECK) ./...

vuln: ## known vulnerabilities in what is used, of which vuln.go.dev must be asked
	go run $(GOVULNCHECK) ./...

race: ## the race detector on the packages that share state
	@$(call need,gcc,gcc libc6-dev)
	$(RACING) -timeout 20m -skip '$(INTURN)|$(ALONE)|TestWhatIsTakenAway|$(AGAIN)' $(SHARING)
	$(RACING) -timeout 20m -skip '$(REPEATING)|$(AGAIN)' ./internal/engine -rapid.checks=50
	$(RACING) -run 'Goroutine|Concurrent|Share' ./schedule

fuzz: ## every fuzz target with FUZZTIME (300000x) inputs
	@grep -rE '^func Fuzz' --include='*_test.go' . \
	| sed -E 's|^(.*)/[^/]*_test.go:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' \
	| while read -r dir name; do \
	    echo "$$dir $$name"; \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$dir || exit 1; \
	  done

smoke: ## the commands of README.md against a fresh server, and their output
	@$(call need,curl,curl ca-certificates)
	go run ./internal/harness/smoke

recipes: ## what docs/reference/signatures.md tells receivers to do, in each language, against a real server
	@$(call need,node,nodejs)
	@$(call need,npm,npm)
	@$(call need,python3,python3)
	@$(call need,php,php-cli)
	go run ./internal/harness/recipes

crash: ## kill -9 a real server ROUNDS (200) times, then look for what is lost or doubled
	go run ./internal/harness/crash -rounds $(ROUNDS)

chaos: ## disturb three nodes on one PostgreSQL for DURATION (10m), then look for what is lost or doubled
	go run ./internal/harness/chaos -duration $(DURATION)

faults: ## a real server on a full, failing and read-only disk (Linux)
	@$(call need,strace,strace)
	go run ./internal/harness/faults

dst: ## every transition of every time zone against a brute-force oracle (minutes)
	go test ./schedule -run DST -timeout 60m -v -all

bench: ## measure beside the floor in the same run (20 min), also on a private PostgreSQL; ONLY=steady,pgburst,pgsteady,pgstore: these; BENCH=all: with a million jobs too
	go run ./internal/harness/bench -only '$(ONLY)' $(if $(filter all,$(BENCH)),-all)

cover: ## test coverage by package, and of everything
	@mkdir -p bin
	go test -coverpkg=./... -coverprofile=bin/cover.out ./...
	go tool cover -func=bin/cover.out | tail -1

clean: ## remove what was built
	rm -rf bin
