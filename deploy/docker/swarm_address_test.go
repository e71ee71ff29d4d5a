package docker

import (
	"testing"

	"github.com/docker/docker/api/types/swarm"
)

// TestAddressOfANode: it is where the manager sees the node, and only where a manager does not see itself what it advertises.
func TestAddressOfANode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ seen, advertised, want string }{
		{"10.0.0.2", "", "10.0.0.2"},
		{"10.0.0.2", "192.168.7.2:2377", "10.0.0.2"},
		{"0.0.0.0", "10.0.0.1:2377", "10.0.0.1"},
		{"127.0.0.1", "[fd00::1]:2377", "fd00::1"},
		{"", "10.0.0.1:2377", "10.0.0.1"},
		{"fd00::2", "", "fd00::2"},
	} {
		node := swarm.Node{Status: swarm.NodeStatus{Addr: tt.seen}}
		if tt.advertised != "" {
			node.ManagerStatus = &swarm.ManagerStatus{Addr: tt.advertised}
		}
		if got := address(node); got != tt.want {
			t.Errorf("a node that is seen at %q and advertises %q answers at %q, want %q", tt.seen, tt.advertised, got, tt.want)
		}
	}
}
