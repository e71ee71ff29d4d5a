package docker

import (
	"sync"

	"github.com/docker/docker/api/types/swarm"
)

// swarmPorts remembers on which port of its node each running task answers: when a manager was started anew, or another one leads, nodes
// tell again of the tasks they run, and leave the ports out. They stay the same for as long as the task
// lives. The zero value is ready; it is safe for concurrent use.
type swarmPorts struct {
	mu   sync.Mutex
	task map[string]uint32 // by the task's id
}

// of is the port of a running task, 0 while nobody has told of one.
func (p *swarmPorts) of(t swarm.Task) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range t.Status.PortStatus.Ports { // one for IPv4 and one for IPv6, of the same number
		if c.PublishedPort == 0 {
			continue
		}
		if p.task == nil {
			p.task = map[string]uint32{}
		}
		p.task[t.ID] = c.PublishedPort
		break
	}
	return p.task[t.ID]
}

// forgetBut forgets all tasks but these.
func (p *swarmPorts) forgetBut(tasks []swarm.Task) {
	there := make(map[string]bool, len(tasks))
	for _, t := range tasks {
		there[t.ID] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.task {
		if !there[id] {
			delete(p.task, id)
		}
	}
}
