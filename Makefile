# make help says what there is.
GO       ?= go
FUZZTIME ?= 60s
WORK     ?= all
# These take the longest and begin first, so that none of them runs alone at the end; most of it is waiting for Docker.
LONGEST  := ./cmd/tinyforge ./app/settings ./deploy/compose ./deploy/docker ./db
LINTER   := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

export CGO_ENABLED = 0

.PHONY: help bench demo pictures test race lint swarm chaos nodes nodesdown fuzz build image clean

help:            ## what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo:            ## three pushes under load, on this machine's Docker; KEEP=1 leaves it and its pages running
	scripts/setup demo
	$(GO) run ./cmd/demo

bench:           ## how fast it is, beside what a user would pick instead: tables, in about 15 minutes; WORK=proxy for a part
	scripts/setup bench
	$(GO) build -o bin/bench ./cmd/bench
	bin/bench --json bin/bench.json $(WORK)

pictures:        ## the README's, in Chromium, from pages of the demo
	scripts/setup pictures
	$(GO) run ./cmd/pictures .github/pictures

test:            ## everything, on real Docker, git, SQLite, PostgreSQL and Chromium
	scripts/setup test
	$(GO) vet ./...
	$(GO) test -vet=off -count=1 -p 3 -timeout 30m $(LONGEST) ./...

race:            ## the same with the race detector, which needs a C compiler
	scripts/setup test
	CGO_ENABLED=1 $(GO) test -race -count=1 -p 1 -timeout 60m ./...

lint:            ## the linters of .golangci.yml
	$(GO) run $(LINTER) run

swarm:           ## what visitors see of three real nodes, as root: the tables of the README
	scripts/setup test
	$(GO) test -count=1 -tags chaos -p 1 -timeout 30m -run 'OnASwarm$$|Cluster|Managers|Left|TestNodesFail|TestPortsAreGivenAnew' -v ./cmd/tinyforge ./deploy/swarmtest ./deploy/docker

chaos:           ## kill -9 everywhere, hundreds of times, and a table of what it did; SEED=N repeats random kills, KILLS=N is how many of several processes
	$(MAKE) swarm
	$(GO) test -c -tags chaos -o bin/chaos.test ./cmd/tinyforge
	cd cmd/tinyforge && TINYFORGE_TEST_CHAOS_SEED=$(SEED) TINYFORGE_TEST_CHAOS_KILLS=$(KILLS) ../../bin/chaos.test -test.run '^TestChaos' -test.parallel 8 -test.timeout 3h

nodes:           ## a Docker Swarm of three nodes on this machine, as root, until Ctrl-C; N=5 for more
	scripts/setup test
	$(GO) build -o bin/nodes ./cmd/nodes
	exec bin/nodes up $(N)

nodesdown:       ## ends those, and what tests that were killed left behind
	$(GO) build -o bin/nodes ./cmd/nodes
	bin/nodes down

fuzz:            ## every fuzz target for FUZZTIME, 60s unless told
	scripts/fuzz $(FUZZTIME)

build:           ## bin/tinyforge
	$(GO) build -buildvcs=auto -trimpath -ldflags '-s -w' -o bin/tinyforge ./cmd/tinyforge

image:           ## the image tinyforge, for scripts/install/compose.yaml
	$(MAKE) build
	scripts/install/image

clean:           ## removes what was built; databases and Docker are left alone
	rm -rf bin
