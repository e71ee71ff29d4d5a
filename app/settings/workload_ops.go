package settings

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tinyforge/templates"
)

// operate does what a button of the form asks for that saves nothing, and shows the form again. done is false for the
// buttons that save.
func (v *visit) operate(f *workloadForm) (done bool, err error) {
	if f.Error("draft") != nil { // what is lost is said whatever was pressed: the next form knows nothing of it
		return true, v.wrongWorkload(f)
	}
	op, number, _ := strings.Cut(f.Get("op"), ":")
	if f.Resumed {
		op = "show"
	}
	n, _ := strconv.Atoi(number)
	status, empty := http.StatusOK, 3
	switch op {
	case "show", "env.parse":
	case "env.more":
		empty = 8
	case "env.drop":
		f.rows = slices.DeleteFunc(f.rows, func(r envRow) bool { return r.index == n })
	case "env.text":
		f.Values.Set("env_paste", envText(f.rows))
		f.Values.Set("env_shown", f.Get("env_paste"))
		f.Values.Set("paste_mode", "replace")
	case "volume.more":
		setVolumes(f.Form, volumeRows(f.Form), 4)
	case "volume.drop":
		dropVolume(f.Form, n)
	case "view.json":
		f.Values.Set("config", indented([]byte(f.masked())))
		f.json = true
	case "view.form":
		status = f.viewForm()
	case "found.use":
		f.use(n)
	case "check.try":
		v.tryCheck(f)
	default:
		return false, nil
	}
	if status == http.StatusOK {
		f.Errors = nil
	}
	setEnv(f.Form, f.rows, empty)
	f.Values.Set("view", map[bool]string{true: "json", false: "form"}[f.json])
	if err := v.keep(f); err != nil {
		return true, err
	}
	return true, v.showWorkloadForm(status, f, nil)
}

// takePaste reads the pasted text into the rows, whatever button was pressed: it may hold secrets, and nobody who saves means
// to leave it out. What was only shown as text is no paste.
func (f *workloadForm) takePaste() {
	text := f.Get("env_paste")
	if text == "" || text == f.Get("env_shown") {
		return
	}
	all, wrong, left := parseEnv(text)
	rows, replaced := paste(f.rows, all, f.Is("paste_mode", "replace"), f.typed)
	f.rows = rows
	f.pasted = []templates.Message{{Key: "n.env_read", Plural: true, Count: len(all)}}
	if replaced > 0 {
		f.pasted = append(f.pasted, templates.Message{Key: "n.env_replaced", Plural: true, Count: replaced})
	}
	if slices.ContainsFunc(all, func(p pasted) bool { return looksSecret(p.Name, p.Value) }) {
		f.pasted = append(f.pasted, templates.Message{Key: "form.env_guessed"})
	}
	f.pasted = append(f.pasted, wrong...)
	f.Values.Set("env_paste", left)
	f.Values.Set("paste_mode", "merge") // what is left comes to what was read
	f.Values.Del("env_shown")
	if len(wrong) > 0 {
		f.Refuse("env_paste", wrong[0])
	}
}

// viewForm turns the JSON into the fields, if it can be read.
func (f *workloadForm) viewForm() int {
	text := f.Get("config")
	f.Errors = nil
	_, err := readJSON(text)
	var fault *jsonFault
	if errors.As(err, &fault) {
		f.config() // it says what is wrong
		return http.StatusUnprocessableEntity
	}
	fillConfig(f.Form, f.Get("source_type"), json.RawMessage(text))
	f.json = false
	f.fillRest(3)
	return http.StatusOK
}

// use fills the fields from what was found in the repository. What it says nothing of stays.
func (f *workloadForm) use(n int) {
	var found []Found
	if json.Unmarshal([]byte(f.Get("found")), &found) != nil || n < 0 || n >= len(found) {
		return
	}
	kept := readObject([]byte(f.masked()))
	config := readObject(found[n].Config)
	ofContainers := append([]string{"memory", "cpus", "volumes"}, placed...)
	for _, key := range append([]string{"deploy_strategy", "report_commit_status", "healthcheck", "env"}, ofContainers...) {
		if value := kept.get(key); value != nil && config.get(key) == nil && (found[n].Source != "compose" || !slices.Contains(ofContainers, key)) {
			config = config.with(value, key)
		}
	}
	f.Values.Set("found_used", strconv.Itoa(n))
	fillConfig(f.Form, found[n].Source, config.raw())
	if f.json {
		f.Values.Set("config", indented(config.raw()))
	}
	f.fillRest(3)
}

// tryCheck asks the running release as the healthcheck would.
func (v *visit) tryCheck(f *workloadForm) {
	path := strings.TrimSpace(f.Get("check_path"))
	if !strings.HasPrefix(path, "/") {
		f.probed = templates.Message{Key: "err.path"}
		return
	}
	status, took, err := v.Prober.Probe(v.r.Context(), f.saved, path)
	switch {
	case err != nil:
		f.probed = templates.Message{Key: "probe.failed", Values: []any{"path", path}, Detail: err.Error()}
	case f.ready(status):
		f.probed = templates.Message{Key: "probe.ready", Values: []any{"path", path, "status", status, "time", v.Duration(took)}}
	default:
		f.probed = templates.Message{Key: "probe.not_ready", Values: []any{"path", path, "status", status, "time", v.Duration(took)}}
	}
}

// ready tells whether an answer is what the healthcheck asks for.
func (f *workloadForm) ready(status int) bool {
	if want, err := strconv.Atoi(strings.TrimSpace(f.Get("check_status"))); err == nil {
		return status == want
	}
	return status >= 200 && status <= 399
}
