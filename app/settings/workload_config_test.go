package settings

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tinyforge/templates"
)

// TestConfigRoundTrip: whatever a config says, a form that was filled from it and is not touched says the same, with every
// value as it was written; and a form that was filled in is the same after it was JSON.
func TestConfigRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		source := sourceNames[rnd.IntN(len(sourceNames))]
		config := randomConfig(rnd).raw()
		f := filled()
		fillConfig(f, source, config)
		if got := composeConfig(f); string(got) != string(config) {
			t.Fatalf("%s: a form that nobody touched makes\n%s\nof\n%s", source, got, config)
		}
		touch(rnd, f, source)
		made := composeConfig(f)
		again := filled()
		fillConfig(again, source, made)
		if got := composeConfig(again); string(got) != string(made) {
			t.Fatalf("%s: %s became %s", source, made, got)
		}
		for _, field := range configFields {
			if want := f.Get(field.name); field.of(source) && (field.when == nil || field.when(f)) && again.Get(field.name) != want {
				t.Fatalf("%s: %s says %q after JSON, before %q\n%s", source, field.name, again.Get(field.name), want, made)
			}
		}
		if got, want := volumeRows(again), volumeRows(f); slices.Contains(containers, source) && !slices.Equal(got, want) {
			t.Fatalf("volumes are %v, before %v", got, want)
		}
		for _, m := range readObject(config) { // what no field shows is kept
			if m.key == "odd" && string(readObject(made).get("odd")) != string(m.value) && string(m.value) != "null" {
				t.Fatalf("odd is lost: %s", made)
			}
		}
	}
}

// randomConfig has fields of all sources, of right and wrong types, and keys that no field knows.
func randomConfig(rnd *rand.Rand) (o object) {
	values := []string{`"a"`, `""`, `" b "`, `"x\ny"`, "5", "0.50", "1e3", "true", "false", "null", `["a","b"]`, `[]`, `[1]`, `{"A":"1","B":"<&>"}`, `{}`,
		`{"path":"/up","status":204,"odd":1}`, `{"enabled":true,"mount":"/data"}`, `[{"name":"d","path":"/d"}]`, `[{"name":"d","path":"/d","read_only":true,"x":1}]`,
		`{"username":"u","password":"p"}`, `"Ж 🚀"`}
	keys := []string{"odd"}
	for _, field := range configFields {
		keys = append(keys, field.path[0])
	}
	keys = append(keys, "volumes")
	for _, i := range rnd.Perm(len(keys))[:rnd.IntN(len(keys))] {
		if !slices.ContainsFunc(o, func(m member) bool { return m.key == keys[i] }) {
			o = append(o, member{keys[i], json.RawMessage(values[rnd.IntN(len(values))])})
		}
	}
	return o
}

func touch(rnd *rand.Rand, f *templates.Form, source string) {
	texts := []string{"", "web", "/up", "Ж 🚀 <b>", "a.b"}
	numbers := []string{"", "8080", "0.5"}
	if rnd.IntN(2) == 0 {
		f.Values.Set("check_kind", []string{"http", "none"}[rnd.IntN(2)])
	}
	if isChecked(f) && f.Get("check_path") == "" {
		f.Values.Set("check_path", "/")
	}
	if rnd.IntN(3) == 0 {
		setVolumes(f, []volumeRow{{"data", "/data", false}, {"more", "/more", true}}[:rnd.IntN(3)], 2)
	}
	for _, field := range configFields {
		if rnd.IntN(2) == 0 || !field.of(source) {
			continue
		}
		value := ""
		switch {
		case field.name == "static_mode":
			value = []string{"static", "deno"}[rnd.IntN(2)]
		case field.name == "runtime":
			value = []string{onDocker, onSwarm}[rnd.IntN(2)]
		case field.name == "check_path":
			value = "/ready"
		case field.absent == "on" || field.absent == "off":
			value = []string{"on", "off"}[rnd.IntN(2)]
		case strings.Contains("port check_status check_attempts cpus replicas", field.name):
			value = numbers[rnd.IntN(len(numbers))]
		case field.name == "build_args":
			value = []string{"", "A=1\nB=x y"}[rnd.IntN(2)]
		case field.name == "compose_file" || field.name == "constraints":
			value = []string{"", "a.yaml\nb.yaml"}[rnd.IntN(2)]
		default:
			value = texts[rnd.IntN(len(texts))]
		}
		f.Values.Set(field.name, value)
	}
	if f.Get("registry_username") == "" {
		f.Values.Set("registry_username", "")
	}
}

func TestMaskedConfig(t *testing.T) {
	text := "{\n  \"image\": \"a\",\n  \"registry\": {\"username\": \"u\", \"password\": \"s3cret\"},\n  \"env\": {\"A.B\": \"s3cret\", \"C\": \"" + bullets + "\"},\n" +
		"  \"build_secrets\": {\"n\": [\"s3cret\"]}, \"registries\": {\"r.example.com\": {\"password\": \"s3cret\"}}\n}"
	masked, held, err := maskConfig(text)
	if err != nil || strings.Contains(masked, "s3cret") || len(held) != 4 {
		t.Fatalf("%s %v %v", masked, held, err)
	}
	if _, missing, err := unmaskConfig(masked, held); err == nil || missing != "env.C" {
		t.Errorf("missing is %q (%v)", missing, err)
	}
	held["env.C"] = json.RawMessage(`"known"`)
	back, _, err := unmaskConfig(masked, held)
	if want := strings.Replace(text, bullets, "known", 1); err != nil || back != want {
		t.Errorf("got %s (%v), want %s", back, err, want)
	}
}

func TestReadJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":{"b":[1,{"c":2}]}, "a b":3}`: "|a|a.b|a.b[0]|a.b[1]|a.b[1].c|[\"a b\"]",
		"{\n \"a\": 1,\n \"a\": 2}":        "3:2 a",
		"{\n \"a\": x}":                    "2:7 invalid character 'x' looking for beginning of value",
		"[1]":                              "1:1 must be an object: {…}",
		"{":                                "1:1 unexpected end of JSON input",
		`{"a":{"b":1,"b":1}}`:              "1:13 a.b",
	} {
		values, err := readJSON(text)
		var got strings.Builder
		for i, v := range values {
			if i > 0 {
				got.WriteString("|")
			}
			got.WriteString(pathText(v.path))
		}
		var fault *jsonFault
		if errors.As(err, &fault) {
			got.Reset()
			line, column, _ := placeOf(text, fault.offset)
			got.WriteString(string(rawJSON(line)) + ":" + string(rawJSON(column)) + " " + fault.text + fault.twice)
		}
		if got.String() != want {
			t.Errorf("%s: got %s, want %s", text, got.String(), want)
		}
	}
}
