package gitlab

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"unicode/utf8"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"tinyforge/app"
	"tinyforge/db"
)

// maxText is how many characters GitLab takes for a description, and for a link.
const maxText = 255

// SetStatus implements app.Forge. GitLab answers 404 for a commit that it does not have and for one that no branch holds,
// and 409 while another status of the same commit is being written. A pending status that is repeated stays as it is, its
// description too. After a final state, the next one begins a new status.
func (f *Forge) SetStatus(ctx context.Context, repo db.Repository, s app.Status) error {
	const op = "set commit status"
	if err := s.Check(); err != nil {
		return err
	}
	state := gitlab.BuildStateValue(s.State)
	if s.State == db.StatusFailure {
		state = gitlab.Failed
	}
	options := &gitlab.SetCommitStatusOptions{
		State: state, Name: gitlab.Ptr(app.StatusContext), Description: gitlab.Ptr(app.Shorten(s.Description, maxText)),
	}
	if s.TargetURL != "" && utf8.RuneCountInString(s.TargetURL) <= maxText { // half a link is none
		options.TargetURL = &s.TargetURL
	}
	repeated := false
	err := f.call(ctx, op, http.StatusCreated, func(with gitlab.RequestOptionFunc) (*gitlab.Response, error) {
		_, resp, err := f.client.Commits.SetCommitStatus(repo.ExternalID, s.Commit, options, with)
		repeated = isRepetition(err, state)
		return resp, err
	})
	if repeated {
		return nil
	}
	return err
}

var transition = regexp.MustCompile(`Cannot transition status via :[a-z_]+ from :([a-z_]+)`)

// isRepetition tells whether GitLab refused a status because it has that state already: it takes no state twice in a row, and
// does not go back from running to pending. What it wrote is only looked at.
func isRepetition(err error, state gitlab.BuildStateValue) bool {
	refusal, ok := errors.AsType[*gitlab.ErrorResponse](err)
	if !ok || !refusal.HasStatusCode(http.StatusBadRequest) {
		return false
	}
	m := transition.FindStringSubmatch(refusal.Message)
	if m == nil {
		return false
	}
	from := gitlab.BuildStateValue(m[1])
	return from == state || from == gitlab.Running && state == gitlab.Pending
}
