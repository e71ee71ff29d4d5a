package source

import (
	"encoding/json"
	"strings"
	"testing"

	"tinyforge/db"
)

const storage1 = `"storage":{"enabled":true}`

func TestStaticConfigs(t *testing.T) {
	const deno = `"mode":"deno","entrypoint":"main.ts",`
	s := NewStatic(&builds{}, "")
	for _, fine := range []string{
		``, `"mode":""`, `"mode":"static","root":"public","spa":true`, `"not_found":"errors/404.html"`, `"storage":{"enabled":false,"mount":"/x"}`,
		`"headers":{"/*":{"X-A":"b","X-B":""}},"redirects":[{"from":"/a","to":"/b"},{"from":"/c/*","to":"https://example.com/:splat","status":308,"force":true}]`,
		`"healthcheck":{"path":"/"},"port":80,"memory":"64MB","cpus":0.5,"report_commit_status":false,"deploy_strategy":"blue-green"`,
		deno + storage1 + `,"task":"build:all","serve":true,"env":{"A":"b"},"deno_image":"example.com/deno@sha256:` + strings.Repeat("0", 64) + `"`,
		deno + `"storage":{"enabled":true,"mount":"/app/data","name":"kv"},"permissions":{"net":["*"],"env":["TZ","APP_*"],"read":["/etc/hosts","public"],"write":["data/x","/tmp"]}`,
		deno + `"user":"1000:1000","tmpfs":["/run/x:1MB","/tmp"],"permissions":{"write":["/run/x/y"]},"networks":["db"],"log":{"max_files":1},"capabilities":[],"read_only":true`,
		deno + `"permissions":{"net":["api.example.com","10.0.0.7:5432","[::1]:80","*.example.com"]}`,
	} {
		if err := s.Validate(json.RawMessage("{" + fine + "}")); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
	const forDeno, forStatic = `is for mode "deno": leave it out, or set mode to "deno"`, `is for mode "static": leave it out, or set mode to "static"`
	for _, tt := range []struct{ members, path, text string }{
		{`"mode":"spa"`, "mode", `"spa" is not known: use "static" for files, or "deno" for a program`},
		{`"mode":1`, "mode", "must be a string, in quotes"},
		{`"root":"../x"`, "root", tagTexts["repopath"]},
		{`"root":"/etc"`, "root", tagTexts["repopath"]},
		{`"roots":"x"`, "roots", `is not a known key: did you mean "root"?`},
		{`"spa":"yes"`, "spa", "must be true or false"},
		{`"spa":true,"not_found":"404.html"`, "not_found", "is never shown with spa, which answers index.html instead: leave one of them out"},
		{`"not_found":"/404.html"`, "not_found", tagTexts["repopath"]},
		{`"headers":[]`, "headers", `must be an object, such as {"/assets/*": {Cache-Control: no-cache}}`},
		{`"headers":{"/*":"X"}`, "headers./*", "must be an object"},
		{`"headers":{"/*":{"X":1}}`, "headers./*.X", "must be a string, in quotes"},
		{`"headers":{"/*":{"X Y":"1"}}`, "headers./*.X Y", ""},
		{`"headers":{"assets":{"X":"1"}}`, "headers.assets", `"assets" must be a path that begins with "/"`},
		{`"headers":{"/*":{"Content-Length":"1"}}`, "headers./*.Content-Length", `"Content-Length" cannot be set: the server decides about it`},
		{`"redirects":{}`, "redirects", `must be a list, such as [{from: /old, to: /new}]`},
		{`"redirects":[{"to":"/b"}]`, "redirects[0].from", "is required"},
		{`"redirects":[{"from":"/b"}]`, "redirects[0].to", "is required"},
		{`"redirects":[{"from":"b","to":"/b"}]`, "redirects[0].from", `must be a path that begins with "/"`},
		{`"redirects":[{"from":"/a","to":"/b","status":418}]`, "redirects[0].status", "is not a status of a rule: use 301, 302, 303, 307 or 308 to redirect, 200 to answer another file, or 404"},
		{`"redirects":[{"from":"/a","to":"/b","status":"301"}]`, "redirects[0].status", `must be a whole number, without quotes, such as 301`},
		{`"redirects":[{"from":"/a","to":"/b","forced":true}]`, "redirects[0].forced", `is not a known key: did you mean "force"?`},
		{`"entrypoint":"main.ts"`, "entrypoint", forDeno},
		{storage1, "storage", forDeno},
		{`"permissions":{"net":["*"]}`, "permissions", forDeno},
		{`"task":"build"`, "task", forDeno},
		{`"serve":true`, "serve", forDeno},
		{`"deno_image":"x"`, "deno_image", forDeno},
		{`"env":{"A":"b"}`, "env", forDeno},
		{`"volumes":[{"name":"a","path":"/a"}]`, "volumes", forDeno},
		{`"user":"app"`, "user", forDeno},
		{`"tmpfs":["/x"]`, "tmpfs", forDeno},
		{`"capabilities":["CHOWN"]`, "capabilities", forDeno},
		{deno + storage1 + `,"tmpfs":["/x","/data"]`, "tmpfs[1]", "is the same as storage.mount"},
		{deno + `"tmpfs":["/app/"]`, "tmpfs[0]", "would hide the program"},
		{deno + `"tmpfs":["/app/:1MB"]`, "tmpfs[0]", "would hide the program"},
		{deno + storage1 + `,"tmpfs":["/data:1MB"]`, "tmpfs[0]", "is the same as storage.mount"},
		{deno + `"spa":true`, "spa", forStatic},
		{deno + `"not_found":"x.html"`, "not_found", forStatic},
		{deno + `"headers":{"/*":{"X":"1"}}`, "headers", forStatic},
		{deno + `"redirects":[{"from":"/a","to":"/b"}]`, "redirects", forStatic},
		{`"mode":"deno"`, "entrypoint", `is required in mode "deno": the program's file in root, such as "main.ts"`},
		{`"mode":"deno","entrypoint":"../main.ts"`, "entrypoint", tagTexts["repopath"]},
		{deno + `"task":"-x"`, "task", tagTexts["task"]},
		{deno + `"task":":x"`, "task", tagTexts["task"]},
		{deno + `"deno_image":"tinyforge/other:17"`, "deno_image", "is refused: " + builtHereText},
		{deno + `"deno_image":"x y"`, "deno_image", `is not a valid image name: write one such as "denoland/deno:2.9.6"`},
		{deno + `"deno_image":"x\nRUN y"`, "deno_image", `is not a valid image name: write one such as "denoland/deno:2.9.6"`},
		{deno + `"env":{"PORT":"1"}`, "env.PORT", "follows from port: set that instead"},
		{deno + `"storage":true`, "storage", `must be an object, such as {enabled: true}`},
		{deno + `"storage":{"enabled":"yes"}`, "storage.enabled", "must be true or false"},
		{deno + `"storage":{"enabled":true,"mount":"data"}`, "storage.mount", tagTexts["mountpath"]},
		{deno + `"storage":{"enabled":true,"mount":"/tmp/x"}`, "storage.mount", `is a place of the system's: use another one, such as "/data"`},
		{deno + `"storage":{"enabled":true,"mount":"/app/"}`, "storage.mount", "would hide the program, which is in /app: use a folder in it, or another one"},
		{deno + `"storage":{"enabled":true,"mount":"/a b"}`, "storage.mount", `may hold only letters, digits, "/", "_", "." and "-"`},
		{deno + `"storage":{"enabled":true,"mount":"/$X"}`, "storage.mount", `may hold only letters, digits, "/", "_", "." and "-"`},
		{deno + `"storage":{"enabled":true,"name":"../x"}`, "storage.name", tagTexts["name"]},
		{deno + `"storage":{"enable":true}`, "storage.enable", `is not a known key: did you mean "enabled"?`},
		{deno + storage1 + `,"volumes":[{"name":"a","path":"/data/"}]`, "volumes[0].path", "is the same as storage.mount"},
		{deno + `"volumes":[{"name":"a","path":"/usr/x"}]`, "volumes[0].path", `is a place of the system's: use another one, such as "/data"`},
		{deno + `"permissions":{"net":"*"}`, "permissions.net", `must be a list, such as [api.example.com]`},
		{deno + `"permissions":{"run":["sh"]}`, "permissions.run", `is not a known key: use env, net, read, write`},
		{deno + `"permissions":{"net":["x,y"]}`, "permissions.net[0]", `must be a host, such as "api.example.com" or "10.0.0.7:5432", or "*" for everywhere`},
		{deno + `"permissions":{"net":["--allow-all"]}`, "permissions.net[0]", `must be a host, such as "api.example.com" or "10.0.0.7:5432", or "*" for everywhere`},
		{deno + `"permissions":{"net":["x","https://x"]}`, "permissions.net[1]", `must be a host, such as "api.example.com" or "api.example.com:443", not a URL`},
		{deno + `"permissions":{"net":[""]}`, "permissions.net[0]", `must be a host, such as "api.example.com" or "10.0.0.7:5432", or "*" for everywhere`},
		{deno + `"permissions":{"env":["*"]}`, "permissions.env[0]", `must be the name of a variable, such as "TZ", or the beginning of names, such as "APP_*"`},
		{deno + `"permissions":{"env":["A,B"]}`, "permissions.env[0]", `must be the name of a variable, such as "TZ", or the beginning of names, such as "APP_*"`},
		{deno + `"permissions":{"read":["a,/"]}`, "permissions.read[0]", `must be a file or folder, such as "/data" or "public", without "," and "*"`},
		{deno + `"permissions":{"read":["../x"]}`, "permissions.read[0]", `must not leave the program's folder with "..": write an absolute path`},
		{deno + `"permissions":{"write":["/app"]}`, "permissions.write[0]", "cannot be written, whatever is permitted: only storage, volumes that are not read_only, /tmp and tmpfs can"},
		{deno + `"permissions":{"write":["/tmp/../app"]}`, "permissions.write[0]", "cannot be written, whatever is permitted: only storage, volumes that are not read_only, /tmp and tmpfs can"},
		{deno + storage1 + `,"permissions":{"write":["/database"]}`, "permissions.write[0]", "cannot be written, whatever is permitted: only storage, volumes that are not read_only, /tmp and tmpfs can"},
	} {
		err := s.Validate(json.RawMessage("{" + tt.members + "}"))
		if tt.text == "" {
			if got := pathsOf(t, err); len(got) != 1 {
				t.Errorf("%s: faults at %q", tt.members, got)
			}
			continue
		}
		wantFaults(t, err, Fault{tt.path, tt.text})
	}
}

// TestS5_StorageForcesRecreate: storage decides, whatever is asked, and is not refused.
func TestS5_StorageForcesRecreate(t *testing.T) {
	s := NewStatic(&builds{}, "")
	const deno = `{"mode":"deno","entrypoint":"main.ts"`
	for _, tt := range []struct {
		config string
		want   db.Strategy
		why    string
	}{
		{`{}`, db.Recreate, ""},
		{`{"deploy_strategy":"blue-green"}`, db.BlueGreen, ""},
		{deno + `}`, db.Recreate, ""},
		{deno + `,"deploy_strategy":"blue-green"}`, db.BlueGreen, ""},
		{deno + `,"deploy_strategy":"blue-green","storage":{"enabled":false}}`, db.BlueGreen, ""},
		{deno + `,` + storage1 + `}`, db.Recreate, ""},
		{deno + `,"deploy_strategy":"recreate",` + storage1 + `}`, db.Recreate, ""},
		{
			deno + `,"deploy_strategy":"blue-green","storage":{"enabled":true,"name":"kv"}}`, db.Recreate,
			`the site has storage, and blue-green would mount its volume "kv" into two containers at once`,
		},
	} {
		if err := s.Validate(json.RawMessage(tt.config)); err != nil {
			t.Errorf("%s: %v", tt.config, err)
		}
		got, why, err := s.Strategy(json.RawMessage(tt.config))
		if got != tt.want || why != tt.why || err != nil {
			t.Errorf("%s: got %q, %q, %v, want %q, %q", tt.config, got, why, err, tt.want, tt.why)
		}
	}
}
