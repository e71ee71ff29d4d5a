package swarmtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	mostPlaces = 20
	mostNodes  = 9
)

// base is the folder where places are. Its name is fixed, so that what was left behind is found.
func base() string { return filepath.Join(os.TempDir(), "tinyforge-nodes") }

// place is a number that one living process has to itself, and all that is named after it: a folder, namespaces, links and
// subnets. Its lock ends with the process, however that ends.
type place struct {
	number int
	folder string
	lock   *os.File
}

// takePlace returns the first place that is free, after what dead processes left in any was cleaned up.
func takePlace() (*place, error) {
	var taken *place
	err := eachFree(func(p *place) (keep bool, err error) {
		if err := p.clear(); err != nil || taken != nil || !p.vacant() {
			return false, err
		}
		if err := errors.Join(p.sign(), os.Mkdir(p.folder, 0o700)); err != nil {
			return false, err
		}
		taken = p
		return true, nil
	})
	if taken == nil {
		return nil, errors.Join(fmt.Errorf("take place for nodes: all %d are in use: run make nodesdown", mostPlaces), err)
	}
	return taken, err
}

// Sweep ends and removes the nodes of processes that are dead.
func Sweep() error {
	return eachFree(func(p *place) (bool, error) { return false, p.clear() })
}

// eachFree calls do with each place that no living process has. It is given up again unless do keeps it.
func eachFree(do func(*place) (keep bool, err error)) error {
	if err := os.MkdirAll(base(), 0o700); err != nil {
		return err
	}
	if info, err := os.Lstat(base()); err != nil || !info.IsDir() || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Getuid()) {
		return fmt.Errorf("use folder %s: it is not a folder of this user: remove it", base())
	}
	var errs []error
	for number := range mostPlaces {
		p := &place{number: number, folder: filepath.Join(base(), strconv.Itoa(number))}
		var err error
		if p.lock, err = os.OpenFile(p.folder+".lock", os.O_CREATE|os.O_RDWR, 0o600); err != nil {
			return err
		}
		keep := false
		if p.tryLock() {
			keep, err = do(p)
			errs = append(errs, err)
		}
		if !keep {
			_ = p.leave()
		}
	}
	return errors.Join(errs...)
}

// Owners are the processes that have nodes now.
func Owners() ([]int, error) {
	files, err := filepath.Glob(filepath.Join(base(), "*.lock"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, file := range files {
		lock, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		p := &place{lock: lock}
		if !p.tryLock() {
			text, _ := io.ReadAll(lock)
			if pid, err := strconv.Atoi(string(text)); err == nil {
				pids = append(pids, pid)
			}
		}
		_ = p.leave()
	}
	return pids, nil
}

func (p *place) tryLock() bool {
	return syscall.Flock(int(p.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// sign writes into the lock whose it is.
func (p *place) sign() error {
	_, err := p.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return errors.Join(err, p.lock.Truncate(int64(len(strconv.Itoa(os.Getpid())))))
}

func (p *place) leave() error { return p.lock.Close() }

// clear ends and removes all that was made in the place. Nothing is done where its folder is not there.
func (p *place) clear() error {
	if _, err := os.Lstat(p.folder); os.IsNotExist(err) {
		return nil
	}
	errs := []error{endAll(p.folder, p.cgroup(0)), unmountBelow(p.folder)}
	for i := range mostNodes + 1 {
		errs = append(errs, p.removeNamespace(i), removeCgroups(p.cgroup(i)))
	}
	return errors.Join(append(errs, os.RemoveAll(p.folder))...)
}

// vacant tells whether nobody else uses the place's names and addresses.
func (p *place) vacant() bool {
	for i := range mostNodes + 1 {
		if _, err := os.Lstat(netnsFile(p.namespace(i))); err == nil {
			return false
		}
	}
	return !usesSubnet(netip.MustParsePrefix(p.address(0) + "/24"))
}

// namespace names the one of a node, from 1, or of the switch, 0.
func (p *place) namespace(i int) string { return fmt.Sprintf("tf%d-n%d", p.number, i) }

// cgroup is where a node's containers are, or with 0 the prefix of all.
func (p *place) cgroup(i int) string {
	if i == 0 {
		return fmt.Sprintf("/tinyforge-nodes-%d-", p.number)
	}
	return fmt.Sprintf("/tinyforge-nodes-%d-%d", p.number, i)
}

// address is one in the place's subnet, of those that RFC 2544 keeps free for tests of networks. Those of RFC 5737, for documents, are
// used by networks of virtual machines.
func (p *place) address(last int) string { return fmt.Sprintf("198.18.%d.%d", p.number, last) }

// private is the start "10.N" of the addresses of containers: those of nodes' own bridges, or those of the Swarm's networks.
func (p *place) private(swarm int) string { return fmt.Sprintf("10.%d", 200+2*p.number+swarm) }

// run runs a program to its end; the error has what it said.
func run(ctx context.Context, name string, words ...string) error {
	if out, err := exec.CommandContext(ctx, name, words...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(words, " "), err, out)
	}
	return nil
}
