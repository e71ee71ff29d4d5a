// Command demo shows the main job on this machine: it starts Tinyforge as a user would, with nothing configured but
// addresses, and a forge of its own beside it, then pushes three versions of a site under load. It exits with status 0
// only if what Tinyforge promises was kept.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"tinyforge/app/forgetest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, os.Getenv("KEEP") != ""); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// host is the site's. The load names it in each request, so that no name has to be resolved.
const host = "hello.localhost"

func run(ctx context.Context, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "tinyforge-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	say("building tinyforge")
	service, err := newService(ctx, dir)
	if err != nil {
		return err
	}
	forge, err := forgetest.Start(forgetest.Options{Kind: forgetest.GitHub, Dir: filepath.Join(dir, "forge")})
	if err != nil {
		return err
	}
	defer func() { _ = forge.Close() }()
	say("a forge like GitHub, with real git, is at %s", forge.URL())

	if err := service.start(ctx); err != nil {
		return err
	}
	defer func() {
		say("\nstopping")
		service.stop()
	}()
	say("tinyforge serve: webhooks at %s, sites at %s, data in %s", service.control, service.site, dir)

	site, err := newSite(ctx, forge, filepath.Join(dir, "hello"))
	if err != nil {
		return err
	}
	if err := service.apply(ctx, forge, site.repository); err != nil {
		return err
	}
	say("tinyforge apply: pushes to %s deploy to %s under the name %s", site.repository, service.site, host)

	results, traffic, err := story(ctx, service, site)
	if err != nil {
		return err
	}
	return conclude(ctx, service, forge, results, traffic, keep)
}

// story pushes version 1, then 2 and 3 under load.
func story(ctx context.Context, service *service, site *site) ([]result, *load, error) {
	say("\ngit push: version 1")
	first, err := site.push(ctx, 1, "")
	if err != nil {
		return nil, nil, err
	}
	traffic := newLoad(service.site, host)
	stop := traffic.start(ctx)
	defer stop()
	say("\nload: %s; every answer is looked at", traffic)

	say("git push: version 2")
	second, err := site.push(ctx, 2, "")
	if err != nil {
		return nil, nil, err
	}
	say("\ngit push: version 3, which never gets ready")
	third, err := site.push(ctx, 3, "ENV UNHEALTHY=1\n")
	if err != nil {
		return nil, nil, err
	}
	pause(ctx, time.Second) // the load goes on a little
	return []result{first, second, third}, traffic, nil
}

func conclude(ctx context.Context, service *service, forge *forgetest.Server, results []result, traffic *load, keep bool) error {
	serves, err := traffic.version(ctx)
	if err != nil {
		return err
	}
	faults := print(os.Stdout, results, traffic, serves)
	for _, fault := range faults {
		say("BROKEN PROMISE: %s", fault)
	}
	if !keep {
		say("\nAll of it is on pages too: make demo KEEP=1 leaves them there to look at.")
	} else if err := linger(ctx, service, forge, results[0].repository); err != nil {
		return err
	}
	if len(faults) > 0 {
		say("\nThe log of tinyforge:\n%s", service.log())
		return fmt.Errorf("%d promises were not kept", len(faults))
	}
	return nil
}

// linger tells where everything is, and waits for Ctrl-C.
func linger(ctx context.Context, service *service, forge *forgetest.Server, repository string) error {
	link, err := service.signInLink(ctx)
	if err != nil {
		return err
	}
	say("\nIt goes on until Ctrl-C:\n  pages     %s\n  site      curl -H 'Host: %s' %s\n  metrics   %s/metrics\n  git       git clone %s\n  apply     env %s \\\n              %s apply FILE",
		link, host, service.site, service.control, forge.PushURL(repository), service.environment(), service.binary)
	<-ctx.Done()
	return nil
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
