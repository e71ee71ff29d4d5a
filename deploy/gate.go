package deploy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tinyforge/db"
)

// gate waits until a started release is ready: it answers its HTTP probe or, without one, stays up for the liveness
// window and accepts connections on its port. It only reads.
type gate struct {
	runtime  Runtime
	release  db.Release
	host     string // of the route, sent as the probe's Host; "" means that nobody will connect to the release
	liveness time.Duration
}

// pollFirst is the pause before the second look; pauses double up to pollMost, or to the healthcheck's interval.
const (
	pollFirst = 10 * time.Millisecond
	pollMost  = 250 * time.Millisecond
)

// wait returns nil when the release is ready, a *Failure when it will not be, or ctx's error.
func (g gate) wait(ctx context.Context) error {
	if g.release.Healthcheck != nil {
		return g.probe(ctx, *g.release.Healthcheck)
	}
	return g.watch(ctx)
}

// probe asks at growing pauses until the interval is reached. Only attempts an interval apart count, and none within the
// start period.
func (g gate) probe(ctx context.Context, check db.Healthcheck) error {
	path, _, _ := strings.Cut(check.Path, "?") // a query may hold a secret
	begun, pause, failures := time.Now(), pollFirst, 0
	for {
		upstream, err := g.running(ctx)
		if err != nil {
			return err
		}
		answer, fault := g.ask(ctx, check, upstream)
		if answer == "" {
			return nil
		}
		if pause >= check.Interval && time.Since(begun) >= check.StartPeriod {
			failures++
		}
		if failures >= max(1, check.Attempts) {
			return &Failure{Text: fmt.Sprintf("Gate failed: GET %s %s for %s", path, answer, seconds(time.Since(begun))), Fault: fault}
		}
		pause = min(pause*2, max(check.Interval, pollFirst))
		if err := Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// ask makes one attempt, at every address. It returns what was wrong with the first answer that was, or "", and the code of that, where
// there is one.
func (g gate) ask(ctx context.Context, check db.Healthcheck, upstream Upstream) (wrong string, fault *db.Fault) {
	all := upstream.Addrs()
	if len(all) < 2 {
		return g.askOne(ctx, check, upstream)
	}
	for _, addr := range all {
		upstream.Addr = addr
		if wrong, fault = g.askOne(ctx, check, upstream); wrong != "" {
			break
		}
	}
	return wrong, fault
}

func (g gate) askOne(ctx context.Context, check db.Healthcheck, upstream Upstream) (wrong string, fault *db.Fault) {
	path, _, _ := strings.Cut(check.Path, "?")
	status, wrong, fault := probe(ctx, upstream, g.host, check.Path, max(check.Timeout, time.Millisecond))
	switch {
	case wrong != "":
		return wrong, fault
	case check.Status != 0 && status != check.Status:
		return fmt.Sprintf("answered %d instead of %d", status, check.Status),
			FaultOf("check_status", "path", path, "status", strconv.Itoa(status), "expected", strconv.Itoa(check.Status))
	case check.Status == 0 && (status < 200 || status > 399):
		return "answered " + strconv.Itoa(status), FaultOf("check_status", "path", path, "status", strconv.Itoa(status), "expected", "200–399")
	}
	return "", nil
}

// refused says in words why no answer came from an address, and whether that was connected to.
func refused(err error, addr string, connected bool, path string, timeout time.Duration, port int) (string, *db.Fault) {
	var timedOut net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("was refused (nothing listens on port %d)", port), FaultOf("port_refused", "port", strconv.Itoa(port))
	case !connected:
		return unreachable(addr)
	case errors.As(err, &timedOut) && timedOut.Timeout():
		return fmt.Sprintf("did not answer within %s", timeout), FaultOf("check_timeout", "path", path, "limit", timeout.String())
	}
	return "got no HTTP answer", nil
}

// unreachable is said of an address that nobody refuses and nobody accepts: of a node of a Swarm it is one that others reach.
func unreachable(addr string) (string, *db.Fault) {
	return fmt.Sprintf("could not connect to %s (is it open to Tinyforge?)", addr), FaultOf("unreachable", "address", addr)
}

// watch is the liveness window.
func (g gate) watch(ctx context.Context) error {
	begun, pause, accepts := time.Now(), pollFirst, g.host == ""
	var refusal error
	for {
		upstream, err := g.running(ctx)
		if err != nil {
			return err
		}
		if !accepts {
			refusal = connects(ctx, upstream)
			accepts = refusal == nil
		}
		if time.Since(begun) >= g.liveness {
			break
		}
		if err := Sleep(ctx, min(pause, g.liveness-time.Since(begun))); err != nil {
			return err
		}
		pause = min(pause*2, pollMost)
	}
	if !accepts {
		return g.unheard(refusal)
	}
	return nil
}

// unheard says why a release that runs was not connected to.
func (g gate) unheard(err error) error {
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Addr != nil && !errors.Is(err, syscall.ECONNREFUSED) {
		wrong, fault := unreachable(dial.Addr.String())
		return &Failure{Text: "Gate failed: " + wrong + " for " + seconds(g.liveness), Fault: fault}
	}
	return &Failure{Text: fmt.Sprintf("Gate failed: nothing listens on port %d after %s; set port to the one that the program uses",
		g.release.Port, seconds(g.liveness)), Fault: FaultOf("port_refused", "port", strconv.Itoa(g.release.Port))}
}

// accepts waits until a release that was ready once accepts connections again, for at most a limit.
func (g gate) accepts(ctx context.Context, limit time.Duration) error {
	begun, pause := time.Now(), pollFirst
	for {
		instance, err := g.runtime.Inspect(ctx, g.release.ID)
		switch {
		case err != nil:
			return err
		case instance.State == Running && (g.host == "" || connects(ctx, instance.Upstream) == nil):
			return nil
		case time.Since(begun) > limit:
			return &Failure{Text: fmt.Sprintf("nothing listens on port %d after %s", g.release.Port, seconds(limit))}
		}
		if err := Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(pause*2, pollMost)
	}
}

// connects returns why the first address that does not accept a connection does not.
func connects(ctx context.Context, upstream Upstream) error {
	if upstream.Addr == "" {
		return errors.New("it has no address")
	}
	dialer := net.Dialer{Timeout: time.Second}
	for _, addr := range upstream.Addrs() {
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		_ = conn.Close()
	}
	return nil
}

// running returns where the release answers, as long as it has not ended once.
func (g gate) running(ctx context.Context) (Upstream, error) {
	instance, err := g.runtime.Inspect(ctx, g.release.ID)
	if err != nil {
		return Upstream{}, err
	}
	if instance.State != Running || instance.Restarts > 0 {
		return Upstream{}, exited(instance)
	}
	return instance.Upstream, nil
}

// exited says in words how a release ended.
func exited(i Instance) error {
	who, memory := "the container", "the config's memory"
	if i.Service != "" {
		who, memory = "service "+i.Service, "its mem_limit"
	}
	ended := FaultOf("exited", "code", strconv.Itoa(i.ExitCode))
	switch {
	case i.OOMKilled:
		return &Failure{Text: fmt.Sprintf("Gate failed: %s ran out of memory and was killed; raise %s", who, memory), Fault: FaultOf("oom")}
	case i.State == Missing:
		return &Failure{Text: "Gate failed: somebody removed the container"}
	case i.Restarts > 0 && i.State == Running: // with what exit code is forgotten by now
		return &Failure{Text: fmt.Sprintf("Gate failed: %s ended by itself and had to be restarted", who), Fault: FaultOf("restarted")}
	case i.Restarts > 0:
		return &Failure{Text: fmt.Sprintf("Gate failed: %s ended with exit code %d and had to be restarted", who, i.ExitCode), Fault: ended}
	}
	return &Failure{Text: fmt.Sprintf("Gate failed: %s ended with exit code %d", who, i.ExitCode), Fault: ended}
}

// seconds rounds a duration as people say it.
func seconds(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
}

// Sleep returns nil after a time, or sooner ctx's error.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
