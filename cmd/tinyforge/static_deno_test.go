package main

import (
	"encoding/json"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// denoCounter is a program that counts its visits at /count, in its storage, and tells at /rights what it may not do.
const denoCounter = `
import { version } from "./version.ts";
const file = "/data/count";
const attempts: Record<string, () => unknown> = {
  "read a file of the system": () => Deno.readTextFileSync("/etc/passwd"),
  "write beside the storage": () => Deno.writeTextFileSync("/app/x", "x"),
  "read another variable": () => Deno.env.get("HOME"),
  "reach another host": () => Deno.connect({ hostname: "192.0.2.1", port: 80 }),
  "listen elsewhere": () => Deno.listen({ port: 9 }),
  "run a program": () => new Deno.Command("deno").outputSync(),
  "be somebody": () => { if (Deno.uid() !== 0) throw new Error("sys"); },
};
Deno.serve(async (request) => {
  switch (new URL(request.url).pathname) {
    case "/count": {
      let n = 0;
      try { n = Number(Deno.readTextFileSync(file)); } catch { /* the first visit */ }
      Deno.writeTextFileSync(file, String(n + 1));
      return new Response(String(n + 1));
    }
    case "/rights": {
      const allowed = [];
      for (const [what, attempt] of Object.entries(attempts)) {
        try { await attempt(); allowed.push(what); } catch { /* as it should be */ }
      }
      return Response.json({ allowed, greeting: Deno.env.get("GREETING"), port: Deno.env.get("PORT") });
    }
  }
  return new Response(version);
});
`

func denoVersion(version string) string {
	return "export const version: string = \"" + version + "\";\n"
}

// TestS5_StorageBackedDenoIsRecreated: blue-green is asked for, but one volume is never in two containers at once. The row
// and the log say why, no request fails, and what is stored is kept, also by a release that never gets ready.
func TestS5_StorageBackedDenoIsRecreated(t *testing.T) {
	t.Parallel()
	image := denoImage(t)
	s, forge, web := newService(t), newForge(t, forgetest.Options{Kind: forgetest.Gitea}), unique("web")
	c := newClone(t, forge, "acme/site")
	s.apply(forge, manifestOf(web, "static", "{mode: deno, entrypoint: main.ts, deno_image: '"+image+"', task: build, storage: {enabled: true},"+
		" deploy_strategy: blue-green, env: {GREETING: hello}, healthcheck: {path: /, interval: 200ms, attempts: 10}}"))
	first := c.pushAll(map[string]string{
		"main.ts": denoCounter, "version.ts": "not yet", "deno.json": `{"tasks": {"build": "cp one.ts version.ts"}}`, "one.ts": denoVersion("one"), ".env": "SECRET=1",
	})
	c.ends(first, "success", "Live in ")
	s.serves(web, "one")
	s.confined(web)
	for _, want := range []string{"1", "2", "3"} {
		if got := s.visit(web, "/count"); got.body != want {
			t.Fatalf("the count is %q, want %s", got.body, want)
		}
	}
	var rights struct {
		Allowed        []string
		Greeting, Port string
	}
	if got := s.visit(web, "/rights"); json.Unmarshal([]byte(got.body), &rights) != nil || len(rights.Allowed) > 0 || rights.Greeting != "hello" || rights.Port != "8080" {
		t.Errorf("its rights are %s", got.body)
	}

	visitors := startLoad(t, s.site, web+".test", readers()...)
	c.ends(c.push("one.ts", denoVersion("two")), "success", "Live in ")
	s.serves(web, "two")
	const why = `the site has storage, and blue-green would mount its volume "data" into two containers at once`
	if d := s.deployments(web)[0]; d.Strategy != db.Recreate || d.StrategyReason != why {
		t.Errorf("it is %s, because of %q", d.Strategy, d.StrategyReason)
	}
	s.inOrder(web, "Strategy recreate: "+why, "Stopped tf-"+web+"-1", "Started tf-"+web+"-2", "Ready after", "Removed tf-"+web+"-1")
	if got := s.visit(web, "/count"); got.body != "4" {
		t.Errorf("after the redeploy the count is %q", got.body)
	}

	c.ends(c.push("main.ts", "throw new Error('never ready');"), "failure", "Gate failed", "the previous release still serves")
	s.serves(web, "two")
	if tail := s.deployments(web)[0].Tail; !strings.Contains(tail, "never ready") {
		t.Errorf("the log's end is %q", tail)
	}
	c.ends(c.pushAll(map[string]string{"main.ts": denoCounter, "one.ts": denoVersion("three")}), "success", "Live in ")
	s.serves(web, "three")
	visitors.stop()
	if got := s.visit(web, "/count"); got.body != "5" {
		t.Errorf("after the failure and a redeploy the count is %q", got.body)
	}
}

// TestDenoServe: a program that exports what answers requests. It has no storage and goes blue-green, as it asks for.
func TestDenoServe(t *testing.T) {
	t.Parallel()
	image := denoImage(t)
	s, forge, web := newService(t), newForge(t, forgetest.Options{Kind: forgetest.Gitea}), unique("web")
	c := newClone(t, forge, "acme/site")
	s.apply(forge, manifestOf(web, "static", "{mode: deno, entrypoint: app/main.ts, serve: true, port: 8001, deno_image: '"+image+"', deploy_strategy: blue-green,"+
		" healthcheck: {path: /, interval: 200ms, attempts: 10}}"))
	program := func(version string) string {
		return "export default { fetch: () => new Response('" + version + "') };\n"
	}
	c.ends(c.push("app/main.ts", program("one")), "success", "Live in ")
	s.serves(web, "one")
	visitors := startLoad(t, s.site, web+".test", readers()...)
	c.ends(c.push("app/main.ts", program("two")), "success", "Live in ")
	s.serves(web, "two")
	visitors.stop()
	if d := s.deployments(web)[0]; d.Strategy != db.BlueGreen || d.StrategyReason != "" {
		t.Errorf("it is %s, because of %q", d.Strategy, d.StrategyReason)
	}

	missing := c.push("app/main.ts", "import './nowhere.ts';\n"+program("three"))
	c.ends(missing, "failure", "the previous release still serves")
	s.serves(web, "two")
	if log := s.deploymentLog(web); !strings.Contains(log, "nowhere.ts") {
		t.Errorf("the log does not say what is missing:\n%s", log)
	}
}
