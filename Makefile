# `make` alone prints what there is to make.
#
# Needed: Go and make. What else a target needs (a C compiler for the race
# detector, curl for the smoke test) is installed when it is missing, if this
# is a Debian or Ubuntu machine and the user is root.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# Package schedule shares only its caches, which one of its tests is about; all
# that it does else takes minutes under the race detector.
SHARING := ./internal/engine . ./internal/api ./internal/auth ./internal/config ./internal/harness/... ./internal/store ./internal/target
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

ROUNDS   ?= 200
DURATION ?= 10m
# A number of inputs; a time (10s) works too, but go test -fuzz now and then calls
# the end of its own time a failure: "context deadline exceeded".
FUZZTIME ?= 300000x

# Outside a git checkout that may be read, a binary is built without its commit.
export GOFLAGS ?= -buildvcs=$(shell git status >/dev/null 2>&1 && echo auto || echo false)

# $(call need,package,more) makes sure that there is a command of the target's name.
need = @command -v $@ >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends $(1) >/dev/null; } || { echo "$@ is missing: install the package $(firstword $(1))"; exit 1; }

# part makes a target as a part of check, and notes how many seconds that took.
part = part() { begun=$$(date +%s); $(priority) $(MAKE) --no-print-directory "$$@"; ended=$$?; \
	echo "$$1 $$(($$(date +%s) - begun))$$([ $$ended = 0 ] || echo ' failed')" >>bin/check/seconds; return $$ended; }

.DEFAULT_GOAL := help
.PHONY: help build test check computing waiting fmt vet lint vuln race fuzz smoke recipes crash faults chaos dst bench cover clean
.PHONY: gcc curl node npm python3 php strace initdb

help: ## print this
	@echo "make <target>, of which there are:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-7s %s\n", $$1, $$2}' Makefile

build: ## the binary: bin/jadwal
	go build -trimpath -o bin/jadwal ./cmd/jadwal

test: initdb ## every test
	go test -timeout 20m ./internal/engine ./... # the longest one first

# What waits most of the time runs beside what computes, which lets it go first and
# has its output shown in between. What they need is there before: two that install
# at once refuse each other.
check: gcc curl node npm python3 php strace initdb ## all that a change must pass: fmt, vet, lint, test, race, short fuzz, smoke, recipes, faults, short crash and chaos
	@rm -rf bin/check; mkdir -p bin/check
	@begun=$$(date +%s); $(MAKE) --no-print-directory -j2 computing waiting; ended=$$?; \
	echo "all $$(($$(date +%s) - begun))" >>bin/check/seconds; \
	awk '{printf "%-10s%5d s%s\n", $$1, $$2, $$3 ? ", " $$3 : ""}' bin/check/seconds; exit $$ended

computing: priority := nice
computing:
	+@$(part); part fmt && part vet && part lint && part test && part race && part fuzz FUZZTIME=50000x && part smoke && part recipes

waiting:
	+@$(part); apart() { part "$$@" >bin/check/$$1 2>&1; ended=$$?; cat bin/check/$$1; return $$ended; }; \
	apart faults && apart chaos DURATION=1m && apart crash

fmt: ## is everything formatted as gofmt does it?
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "these files want gofmt -w"; exit 1; }

vet: ## go vet
	go vet ./...

lint: ## staticcheck, of one fixed version
	go run $(STATICCHECK) ./...

vuln: ## known vulnerabilities in what is used, of which vuln.go.dev must be asked
	go run $(GOVULNCHECK) ./...

race: gcc initdb ## the race detector on the packages that share state
	$(RACING) -short -timeout 20m -skip '$(INTURN)|$(ALONE)|TestWhatIsTakenAway|$(AGAIN)' $(SHARING)
	$(RACING) -run 'Goroutine|Concurrent|Share' ./schedule

fuzz: ## every fuzz target with FUZZTIME (300000x) inputs
	@grep -rE '^func Fuzz' --include='*_test.go' . \
	| sed -E 's|^(.*)/[^/]*_test.go:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' \
	| while read -r dir name; do \
	    echo "$$dir $$name"; \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$dir || exit 1; \
	  done

smoke: curl ## the commands of README.md against a fresh server, and their output
	go run ./internal/harness/smoke

recipes: node npm python3 php ## what docs/reference/signatures.md tells receivers to do, in each language, against a real server
	go run ./internal/harness/recipes

crash: ## kill -9 a real server ROUNDS (200) times, then look for what is lost or doubled
	go run ./internal/harness/crash -rounds $(ROUNDS)

chaos: initdb ## disturb three nodes on one PostgreSQL for DURATION (10m), then look for what is lost or doubled
	go run ./internal/harness/chaos -duration $(DURATION)

faults: strace ## a real server on a full, failing and read-only disk (Linux)
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

gcc:
	$(call need,gcc libc6-dev)
curl:
	$(call need,curl ca-certificates)
node:
	$(call need,nodejs)
npm:
	$(call need,npm)
python3:
	$(call need,python3)
php:
	$(call need,php-cli)
strace:
	$(call need,strace)
# Debian has it where no PATH leads to.
initdb: export PATH := $(PATH):$(subst $() ,:,$(wildcard /usr/lib/postgresql/*/bin))
initdb:
	$(call need,postgresql)
