package swarmtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// able returns ErrUnable, with what to do, where nodes cannot run.
func able(ctx context.Context) error {
	if os.Getuid() != 0 {
		return fmt.Errorf("%w: run it as root", ErrUnable)
	}
	for _, program := range []string{"ip", "nsenter", "unshare", "dockerd", "containerd"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: %s is missing: run scripts/setup test", ErrUnable, program)
		}
	}
	for _, kind := range [][]string{
		{"veth", "peer", "name", "tfpeer"}, {"bridge"}, {"vxlan", "id", "1", "dstport", "4789"},
	} {
		words := append([]string{"--net", "ip", "link", "add", "tfprobe", "type"}, kind...)
		if err := run(ctx, "unshare", words...); err != nil {
			return fmt.Errorf("%w: its kernel has no links of type %s, or this is a container without privileges: %w", ErrUnable, kind[0], err)
		}
	}
	return nil
}

func netnsFile(name string) string { return "/run/netns/" + name }

// link is the name of the root namespace's link to the switch.
func (p *place) link() string { return fmt.Sprintf("tf%dsw", p.number) }

// addSwitch makes the bridge that joins the nodes. It has a namespace of its own: in the root namespace what Docker forbids
// to be forwarded is lost between nodes too.
func (p *place) addSwitch(ctx context.Context) error {
	sw := p.namespace(0)
	return ip(ctx,
		"netns add "+sw,
		"-n "+sw+" link set lo up",
		"-n "+sw+" link add name sw type bridge",
		"-n "+sw+" link set sw up",
		"link add "+p.link()+" type veth peer name p0 netns "+sw,
		"-n "+sw+" link set p0 master sw up",
		"addr add "+p.address(1)+"/24 dev "+p.link(),
		"link set "+p.link()+" up",
	)
}

// addNamespace makes that of a node and plugs it into the switch.
func (p *place) addNamespace(ctx context.Context, i int) error {
	sw, name, port := p.namespace(0), p.namespace(i), switchPort(i)
	return ip(ctx,
		"netns add "+name,
		"-n "+name+" link set lo up",
		"-n "+sw+" link add "+port+" type veth peer name eth0 address "+p.hardware(i)+" netns "+name,
		"-n "+sw+" link set "+port+" master sw up",
		"-n "+name+" addr add "+p.nodeAddress(i)+"/24 dev eth0",
		"-n "+name+" link set eth0 up",
		"-n "+name+" route add default via "+p.address(1),
	)
}

// plug sets a node's port of the switch "up" or "down".
func (p *place) plug(ctx context.Context, i int, state string) error {
	return ip(ctx, "-n "+p.namespace(0)+" link set "+switchPort(i)+" "+state)
}

func switchPort(i int) string { return fmt.Sprintf("p%d", i) }

// hardware is a node's address on the switch, the same after a restart as that of any machine: others remember it.
func (p *place) hardware(i int) string { return fmt.Sprintf("02:74:66:00:%02x:%02x", p.number, i) }

func (p *place) nodeAddress(i int) string { return p.address(10 + i) }

func (p *place) removeNamespace(i int) error {
	ctx := context.Background()
	if i == 0 {
		if _, err := net.InterfaceByName(p.link()); err == nil {
			if err := ip(ctx, "link del "+p.link()); err != nil {
				return err
			}
		}
	}
	if _, err := os.Lstat(netnsFile(p.namespace(i))); os.IsNotExist(err) {
		return nil
	}
	if i > 0 { // a namespace ends some time later, its link with it: the port's name would not be free
		_ = ip(ctx, "-n "+p.namespace(0)+" link del "+switchPort(i))
	}
	return ip(ctx, "netns del "+p.namespace(i))
}

func ip(ctx context.Context, commands ...string) error {
	for _, c := range commands {
		if err := run(ctx, "ip", strings.Fields(c)...); err != nil {
			return err
		}
	}
	return nil
}

func usesSubnet(subnet netip.Prefix) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err != nil || p.Overlaps(subnet) {
			return true
		}
	}
	return false
}

// unmountBelow unmounts all that is mounted in a folder, the newest first.
func unmountBelow(folder string) error {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer file.Close()
	var points []string
	for s := bufio.NewScanner(file); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) > 4 && strings.HasPrefix(f[4], folder+"/") {
			points = append([]string{f[4]}, points...)
		}
	}
	var errs []error
	for _, point := range points {
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}
