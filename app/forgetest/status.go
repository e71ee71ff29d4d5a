package forgetest

import (
	"strings"
	"time"
)

// Status is a commit status as it was posted.
type Status struct {
	ID          int64
	Commit      string
	State       string // GitLab's failed is "failure" here, as everywhere else
	Context     string
	Description string
	TargetURL   string
	At          time.Time
}

// Statuses returns what was posted for a commit, oldest first.
func (s *Server) Statuses(fullName, sha string) []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(fullName)
	if r == nil {
		return nil
	}
	return r.statusesOf(sha)
}

func (r *repository) statusesOf(sha string) []Status {
	var all []Status
	for _, st := range r.statuses {
		if strings.EqualFold(st.Commit, sha) {
			all = append(all, st)
		}
	}
	return all
}

// newestStatuses returns the newest status of each context, newest first.
func newestStatuses(all []Status) []Status {
	seen := map[string]bool{}
	var newest []Status
	for i := len(all) - 1; i >= 0; i-- {
		if !seen[all[i].Context] {
			seen[all[i].Context] = true
			newest = append(newest, all[i])
		}
	}
	return newest
}

// addStatus records a status.
func (s *Server) addStatus(r Repository, st Status) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	st.ID, st.At = s.lastID, time.Now()
	if stored := s.repositories[r.ID]; stored != nil {
		stored.statuses = append(stored.statuses, st)
	}
	return st
}
