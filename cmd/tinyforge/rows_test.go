package main

import (
	"errors"
	"slices"
	"strings"

	"tinyforge/db"
)

// workload reads a workload's row.
func (s *service) workload(name string) db.Workload {
	s.Helper()
	all, err := s.store.Workloads(s.Context())
	s.must(err)
	i := slices.IndexFunc(all, func(w db.Workload) bool { return w.Name == name })
	if i < 0 {
		s.Fatalf("there is no workload %s", name)
	}
	return all[i]
}

// deployments reads those of a workload, newest first.
func (s *service) deployments(workload string) []db.Deployment {
	s.Helper()
	all, err := s.store.DeploymentsOf(s.Context(), s.workload(workload).ID, 100)
	s.must(err)
	return all
}

// reaches waits until a commit's deployment is in a phase.
func (s *service) reaches(workload, commit string, phase db.Phase) {
	s.Helper()
	s.await(string(phase), func() bool {
		all := s.deployments(workload)
		if len(all) == 0 || all[0].Commit != commit {
			return false
		}
		if all[0].Phase.Final() && all[0].Phase != phase {
			s.Fatalf("it is %s: %s", all[0].Phase, all[0].Error)
		}
		return all[0].Phase == phase
	})
}

// deploymentLog reads the log of a workload's newest deployment.
func (s *service) deploymentLog(workload string) string {
	s.Helper()
	lines, err := s.store.Log(s.Context(), s.deployments(workload)[0].ID, 0, 10_000)
	s.must(err)
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line.Text + "\n")
	}
	return text.String()
}

// serves waits until a workload has come to rest and demands what has to be true then: the site answers this version,
// one container of the workload exists, it runs, and it is the one of the row.
func (s *service) serves(workload, version string) {
	s.Helper()
	w := s.workload(workload)
	var state db.RuntimeState
	s.await(workload+" has come to rest", func() bool {
		_, err := s.store.InProgress(s.Context(), w.ID)
		return errors.Is(err, db.ErrNotFound) && s.deployments(workload)[0].Phase.Final()
	})
	state, err := s.store.RuntimeState(s.Context(), w.ID)
	s.must(err)
	var left []container
	s.await("the only container of "+workload+" is "+string(state.ReleaseID), func() bool {
		left = s.releases(workload)
		return len(left) == 1 && left[0].Labels["tinyforge.release"] == string(state.ReleaseID)
	})
	if left[0].State != "running" || left[0].Names[0] != "/"+nameOf(left[0], state.ReleaseID) {
		s.Errorf("the container is %+v", left[0])
	}
	answer := ""
	s.await("the site answers", func() bool {
		code, body := s.get(s.site+"/", w.Host)
		answer = strings.TrimSpace(body)
		return code == 200
	})
	if answer != version {
		s.Errorf("the site answers %q, want %q", answer, version)
	}
	for _, d := range s.deployments(workload) {
		if live := d.ID == state.DeploymentID; live != (d.Phase == db.PhaseLive) {
			s.Errorf("deployment %d is %s, and %d serves", d.ID, d.Phase, state.DeploymentID)
		}
	}
}

// nameOf is what the container of a release is called.
func nameOf(c container, id db.ReleaseID) string {
	if project := c.Labels["com.docker.compose.project"]; project != "" {
		return project + "-" + c.Labels["com.docker.compose.service"] + "-1"
	}
	return string(id)
}

// releases are the containers of a workload, of a stack the one that has the route.
func (s *service) releases(workload string) []container {
	s.Helper()
	return slices.DeleteFunc(newDockerAPI(s.T).containers(s.instance), func(c container) bool {
		return !strings.HasPrefix(c.Labels["tinyforge.release"], "tf-"+workload+"-") || c.Labels["tinyforge.routed"] == "false"
	})
}
