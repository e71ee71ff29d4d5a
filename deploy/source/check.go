package source

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/docker/go-units"
	"github.com/go-playground/validator/v10"
)

// checker checks the struct tags of configs. It is safe for concurrent use.
type checker struct{ validate *validator.Validate }

// tagTexts says what each tag wants.
var tagTexts = map[string]string{
	"required":   "is required",
	"urlpath":    `must be a path on the release, such as "/up"`,
	"mountpath":  `must be an absolute path in the container, such as "/data", and not one of the system's`,
	"tmpfs":      `must be an absolute path in the container, and not one of the system's, perhaps with a size of 64KB or more: "/tmp", "/tmp:64MB"`,
	"name":       "must begin with a letter or digit and hold only letters, digits, '_', '.' and '-'",
	"stage":      "must be the name or number of a stage of the Dockerfile",
	"task":       "must be the name of a task of deno.json",
	"user":       `must be a user and perhaps a group, by name or number: "app", "1000:1000"`,
	"net":        "must have lower-case letters, digits and '-', and neither begin nor end with '-'",
	"capability": "must be one of " + strings.Join(capabilities, ", ") + ": others hand the machine over to the container",
	"platform":   `must be a platform such as "linux/amd64" or "linux/arm/v7"`,
	"constraint": `must compare something of a node, as docker service create --constraint does: "node.role==worker", "node.labels.disk!=slow"`,
	"repopath":   `must be a relative path inside the repository, with "/" and without ".."`,
}

func newChecker() *checker {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return f.Tag.Get("json") })
	for tag, ok := range map[string]func(string) bool{
		"urlpath": isURLPath, "mountpath": isMountPath, "name": isName, "stage": isName, "task": isTask, "repopath": isRepoPath,
		"user": isUser, "net": isNetworkName, "capability": isCapability, "platform": isPlatform, "tmpfs": isTmpfs, "constraint": isConstraint,
	} {
		must(v.RegisterValidation(tag, func(f validator.FieldLevel) bool {
			s := f.Field().String()
			return s == "" || ok(s)
		}))
	}
	return &checker{v}
}

// must panics on what only a mistake in this file can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (c *checker) tags(config any) Faults {
	var all Faults
	found, _ := errors.AsType[validator.ValidationErrors](c.validate.Struct(config))
	for _, f := range found {
		all = append(all, Fault{jsonPath(f.Namespace()), tagText(f)})
	}
	return all
}

// jsonPath turns "dockerfileConfig.common.healthcheck.path" into "healthcheck.path".
func jsonPath(namespace string) string {
	_, p, _ := strings.Cut(namespace, ".")
	return strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(p, "common."), "container."), "placement.")
}

func tagText(f validator.FieldError) string {
	limit := f.Param()
	if f.Type() == reflect.TypeFor[size]() {
		limit = units.BytesSize(float64(mustInt(limit)))
	}
	if f.Kind() == reflect.String {
		limit += " characters long"
	}
	switch f.Tag() {
	case "min":
		return "must be at least " + limit
	case "max":
		return "must be at most " + limit
	default:
		return tagTexts[f.Tag()]
	}
}

func mustInt(s string) (n int64) {
	_, err := fmt.Sscan(s, &n)
	must(err)
	return n
}

func checkEnv(at string, env map[string]string) Faults {
	var all Faults
	for name, value := range env {
		if !isEnvName(name) {
			all = append(all, Fault{join(at, name), "must begin with a letter or '_' and hold only letters, digits, '_', '.' and '-'"})
		}
		if strings.ContainsRune(value, 0) {
			all = append(all, Fault{join(at, name), "must not contain a zero byte"})
		}
	}
	return all
}

func isEnvName(s string) bool {
	return s != "" && !isDigit(rune(s[0])) && !strings.ContainsAny(s[:1], ".-") && !strings.ContainsFunc(s, isNoNameRune)
}

func isName(s string) bool {
	return s != "" && !strings.ContainsAny(s[:1], "_.-") && !strings.ContainsFunc(s, isNoNameRune)
}

// isTask lets tasks have ":" in their names, as in "build:all".
func isTask(s string) bool { return isName(strings.ReplaceAll(s, ":", "_")) && s[0] != ':' }

func isNoNameRune(r rune) bool {
	return !isDigit(r) && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z') && !strings.ContainsRune("_.-", r)
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isURLPath(s string) bool {
	u, err := url.ParseRequestURI(s)
	return err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") &&
		!strings.ContainsFunc(s, func(r rune) bool { return r == '#' || unicode.IsSpace(r) || unicode.IsControl(r) })
}

// isPlatform takes a system, an architecture and perhaps a variant of it.
func isPlatform(s string) bool {
	parts := strings.Split(s, "/")
	return (len(parts) == 2 || len(parts) == 3) && !slices.ContainsFunc(parts, func(part string) bool {
		return part == "" || strings.ContainsFunc(part, func(r rune) bool { return !isDigit(r) && !('a' <= r && r <= 'z') })
	})
}

func isMountPath(s string) bool {
	if !path.IsAbs(s) || strings.ContainsFunc(s, unicode.IsControl) || slices.Contains(strings.Split(s, "/"), "..") {
		return false
	}
	top, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(s), "/"), "/")
	return !slices.Contains([]string{"", "proc", "sys", "dev"}, top)
}
