package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/docker/docker/api/types/network"
	docker "github.com/docker/docker/client"

	"tinyforge/app/forgetest"
)

// pusher brings a version to where it answers, and returns how long that took. Versions are numbered from 0, without a gap.
type pusher struct {
	name string
	once func(ctx context.Context, version int) (time.Duration, error)
}

const (
	blueGreen = ours + ", blue-green"
	recreate  = ours + ", recreate"
	floorAt   = "floor, container's address"
	floorPort = "floor, published port"
	floorOwn  = "floor, network with names"
	floorStop = "floor, network with names, old one stopped first"
	byCompose = "docker-compose"
)

const pushText = "From the moment in which the forge sends the delivery of a push to the first 200 with the new version, asked for again " +
	"2 ms after each answer, through the built-in proxy: the intake, git fetch, BuildKit, create, start, gate and route. An image of one small file, which changes, " +
	"on one of a static program, which is there. The floor does it by the API of Docker alone, from the change of the file on, and is asked once the container is started: no webhook, no git, no gate, no route. " +
	"Its containers are in Docker's default network; in one in which containers find each other by name, as those of Tinyforge do, Docker takes longer to start them: " +
	"that row is the least that blue-green can take, and the one whose old container is stopped before the new one is created the least of recreate. " +
	"Others are done by hand: docker build %s and docker run; docker-compose, which builds and replaces."

// measurePush deploys the same change by a push, by Docker's bare API and by hand.
func measurePush(ctx context.Context, o choice, s *stage, done func(work)) error {
	engine, name, err := openDocker(ctx, s)
	if err != nil {
		return err
	}
	base, err := s.sampleBase(ctx, engine, name)
	if err != nil {
		return err
	}
	forge, err := forgetest.Start(forgetest.Options{Kind: forgetest.GitHub, Dir: filepath.Join(s.dir, "forge")})
	if err != nil {
		return err
	}
	s.add(func() { _ = forge.Close() })
	sites, err := newSites(ctx, s, forge, base, name+"-a", "")
	if err != nil {
		return err
	}
	floors, err := newFloors(ctx, s, engine, name, base)
	if err != nil {
		return err
	}
	dir, err := s.sampleFolder("by-hand", base)
	if err != nil {
		return err
	}
	hand, err := newByHand(ctx, name+"-hand", dir)
	if err != nil {
		return err
	}
	if dir, err = s.sampleFolder("composed", base); err != nil {
		return err
	}
	compose, err := newComposed(s, name, dir)
	if err != nil {
		return err
	}
	list := append([]pusher{{blueGreen, sites.once(blueGreen)}, {recreate, sites.once(recreate)}}, append(floors, pusher{"docker CLI", hand.once})...)
	if err := measurePushed(ctx, o, list, hand.kind(), compose, done); err != nil {
		return err
	}
	sites.end()
	done(sites.phases())
	return measureShare(ctx, o, s, forge, base, name+"-b", engine.DaemonHost(), done)
}

// newFloors are the ways by the API of Docker alone, each with containers, images and a folder of its own.
func newFloors(ctx context.Context, s *stage, engine *docker.Client, name, base string) (list []pusher, err error) {
	named := name + "-floors"
	if _, err := engine.NetworkCreate(ctx, named, network.CreateOptions{Driver: "bridge"}); err != nil {
		return nil, fmt.Errorf("make network: %w", err)
	}
	for i, f := range []struct {
		who string
		way bare
	}{
		{floorAt, bare{}},
		{floorPort, bare{published: true}},
		{floorOwn, bare{network: named}},
		{floorStop, bare{network: named, stopsFirst: true}},
	} {
		b := &f.way
		b.docker, b.name = engine, fmt.Sprintf("%s-floor-%d", name, i)
		if b.dir, err = s.sampleFolder(b.name, base); err != nil {
			return nil, err
		}
		list = append(list, pusher{f.who, b.once})
	}
	return list, nil
}

// measurePushed goes round them, without compose, which is slow, and then for fewer rounds with it.
func measurePushed(ctx context.Context, o choice, list []pusher, kind string, compose *composed, done func(work)) error {
	text := fmt.Sprintf(pushText, kind)
	w := &work{Name: "push to live", Text: text, Base: floorPort}
	for _, who := range []string{blueGreen, recreate} {
		for _, floor := range []string{floorPort, floorAt} {
			for _, metric := range []string{"to live", "95th percentile"} {
				w.Goals = append(w.Goals, goal{Who: who, Metric: metric, To: floor, AtMost: 1.10})
			}
		}
	}
	next, err := pushRounds(ctx, w, list, 0, o.times(15))
	if err != nil {
		return err
	}
	for _, p := range list {
		w.add(p.name, "95th percentile", "ms", percentile(w.values(p.name, "to live"), 95))
	}
	done(*w)
	if compose == nil {
		return nil
	}
	w = &work{Name: "push to live, with docker-compose", Text: "The same.", Base: floorPort}
	if _, err := pushRounds(ctx, w, []pusher{{byCompose, compose.once}}, 0, 0); err != nil { // its first version, uncounted
		return err
	}
	// Its versions go on where the others' do: numbers need not follow each other for it.
	if _, err := pushRounds(ctx, w, append(list, pusher{byCompose, compose.once}), next, o.times(3)); err != nil {
		return err
	}
	done(*w)
	return nil
}

// pushRounds lets each deploy in turn, beginning with another one each time. Version 0 comes before and does not count. It
// returns the version after the last.
func pushRounds(ctx context.Context, w *work, list []pusher, version, rounds int) (next int, err error) {
	if version == 0 {
		for _, p := range list {
			if _, err := p.once(ctx, 0); err != nil {
				return 0, fmt.Errorf("%s: %w", p.name, err)
			}
		}
		version = 1
	}
	for round := range rounds {
		for i := range list {
			p := list[(i+round)%len(list)]
			took, err := p.once(ctx, version)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", p.name, err)
			}
			w.add(p.name, "to live", "ms", milliseconds(took))
		}
		version++
	}
	return version, nil
}

// kind says which builder the command has.
func (h *byHand) kind() string {
	if h.buildKit {
		return "with BuildKit"
	}
	return "with the classic builder, the only one that this docker command has,"
}
