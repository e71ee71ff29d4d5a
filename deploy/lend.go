package deploy

import (
	"context"
	"time"
)

// lend leaves the workload to the recovery while do works, which may take long and must touch neither what serves nor what
// leads to it. It returns when the recovery has given the workload back, which does not hang on a context: what follows moves
// routes.
func (j *job) lend(do func() error) error {
	j.busy.unlock(j.workload.ID)
	defer func() { _ = j.busy.lock(context.Background(), j.workload.ID) }()
	return do()
}

// lendBeside is lend, unless the strategy ends what serves before the new release runs.
func (j *job) lendBeside(do func() error) error {
	if workOf(j.dep, j.blue, true, time.Now()) == workInPlace {
		return do()
	}
	return j.lend(do)
}
