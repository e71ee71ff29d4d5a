package settings

import (
	"slices"
	"strconv"
	"time"

	"tinyforge/db"
	"tinyforge/templates"
)

// failure is what a page says of a deployment that failed.
type failure struct {
	Title   templates.Message
	Text    string // the deployment's own words
	Serving *templates.Message
	Todo    []templates.Message
	Change  string // where to change what was wrong; "" where that helps nothing
	Line    int    // of the log, where it failed; 0 where there is none
	Where   string // the address of that line
}

// faults are the codes that have texts, and whether a change of the workload's settings may mend what they mean.
var faults = map[string]bool{
	"fetch_auth": false, "fetch_gone": false, "build_exit": false, "build_timeout": false, "no_dockerfile": true, "image_denied": true,
	"image_missing": true, "disk_low": false, "exited": false, "restarted": false, "oom": true, "port_refused": true, "check_status": true, "check_timeout": true, "unreachable": false,
	"interrupted": false, "proxy_silent": false, "route_refused": true, "host_port_busy": false,
}

// failure says why a deployment failed and what to do. before is the release that served then, if there was one.
func (v *visit) failure(w db.Workload, dep db.Deployment, before []db.Deployment) (*failure, error) {
	if dep.Phase != db.PhaseFailed && dep.Phase != db.PhaseUndoing || dep.Cancelled {
		return nil, nil
	}
	phase := stumbled(dep)
	f := &failure{Title: templates.Message{Key: "fail.in_" + string(phase)}, Text: dep.Error}
	if phase == "" || !v.Has(f.Title.Key) {
		f.Title.Key = "fail.deployment"
	}
	if mends, known := faults[faultCode(dep)]; known {
		title := templates.Message{Key: "fail." + dep.Fault.Code, Values: v.faultValues(*dep.Fault)}
		if _, err := v.Say(title); err == nil {
			f.Title = title
		}
		todo := templates.Message{Key: "todo." + dep.Fault.Code, Values: title.Values}
		if _, err := v.Say(todo); err == nil {
			f.Todo = append(f.Todo, todo)
		}
		if mends && v.user.Role.May(db.Administrator) {
			f.Change = workloadPath(w) + "/settings"
		}
	}
	f.Serving = serving(dep, before)
	var err error
	if f.Line, err = v.DB.LastLogLine(v.r.Context(), dep.ID, db.PhaseUndoing); err != nil {
		return nil, err
	}
	number := strconv.Itoa(f.Line)
	f.Where = address(deploymentPath(w, dep.ID), "from", number) + "#L" + number
	return f, nil
}

func faultCode(dep db.Deployment) string {
	if dep.Fault == nil {
		return ""
	}
	return dep.Fault.Code
}

// serving says what visitors got of a failed deployment.
func serving(dep db.Deployment, before []db.Deployment) *templates.Message {
	stopped := slices.ContainsFunc(dep.Entered, func(e db.Entered) bool { return e.Phase == db.PhaseStopping })
	switch {
	case len(before) == 0:
		return &templates.Message{Key: "todo.none_serving"}
	case dep.Phase == db.PhaseUndoing:
		return nil
	case !dep.StillServes():
		return &templates.Message{Key: "todo.old_unsure", Values: []any{"commit", short(before[0].Commit)}}
	case faultCode(dep) == "proxy_silent":
		return &templates.Message{Key: "todo.old_gap", Values: []any{"commit", short(before[0].Commit)}}
	case stopped:
		return &templates.Message{Key: "todo.old_again", Values: []any{"commit", short(before[0].Commit)}}
	}
	return &templates.Message{Key: "todo.old_serving", Values: []any{"commit", short(before[0].Commit)}}
}

// faultValues are the values of a fault as a reader wants them: times and sizes in their language.
func (v *visit) faultValues(f db.Fault) (values []any) {
	for name, value := range f.Values {
		switch name {
		case "limit", "time":
			if d, err := time.ParseDuration(value); err == nil {
				value = v.Duration(d)
			}
		case "free", "need":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				value = v.Size(n)
			}
		case "commit":
			value = short(value)
		}
		values = append(values, name, value)
	}
	return values
}
