package npm_test

import (
	"maps"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/npm"
)

func portOf(addr string) int {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return n
}

// foreign is a proxy host that a person made.
func foreign() map[string]any {
	return map[string]any{
		"domain_names": []any{"example.com", host}, "forward_scheme": "http", "forward_host": "127.0.0.1", "forward_port": 9.0,
		"certificate_id": 3.0, "ssl_forced": false, "http2_support": true, "block_exploits": true, "allow_websocket_upgrade": true,
		"advanced_config": "client_max_body_size 1m;\n", "meta": map[string]any{"note": "by hand"},
	}
}

func adopting(c *npm.Config) { c.Adopt = []string{"WWW.example.com"} }

// TestS15_ForeignHostIsLeftAlone until an administrator says that it may be adopted.
func TestS15_ForeignHostIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.person(foreign())
	was := w.npm.Host(host)
	w.npm.Wrap(nil)
	fails(t, w.Upsert(t.Context(), web, newApp(t, "tf-web-1", http.StatusOK)), "that Tinyforge did not make", "--npm-adopt "+host)
	must(t, w.Upsert(t.Context(), web, deploy.Upstream{}))
	must(t, w.Delete(t.Context(), web))
	if got, err := w.Current(t.Context(), web); err != nil || got == (deploy.Upstream{}) {
		t.Errorf("current is %+v, %v", got, err)
	}
	if w.npm.Writes() != 0 || !reflect.DeepEqual(w.npm.Host(host), was) {
		t.Errorf("it wrote %q", w.npm.Calls())
	}
	ours := w.live2(t)
	stranger := w.again(func(c *npm.Config) { c.Instance = "stranger" })
	fails(t, stranger.Upsert(t.Context(), ours, newApp(t, "tf-web-9", 200)), "another Tinyforge", "--npm-adopt "+ours.Host)
}

// person changes a host as a person does in the pages, and waits until nginx has it.
func (w *world) person(change map[string]any) {
	w.t.Helper()
	must(w.t, w.npm.Change(host, change))
	w.nginx.Quiet()
}

// live2 routes another host.
func (w *world) live2(t *testing.T) db.Route {
	rt := db.Route{WorkloadID: 2, Host: "two.example.com"}
	must(t, w.Upsert(t.Context(), rt, newApp(t, "tf-two-1", http.StatusOK)))
	return rt
}

// TestS15_AdoptedHostKeepsItsSettings, and is given back as it was.
func TestS15_AdoptedHostKeepsItsSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, adopting)
	legacy := newApp(t, "legacy", http.StatusOK)
	by := foreign()
	by["forward_port"] = float64(portOf(legacy.Addr))
	w.person(by)
	was := w.npm.Host(host)

	must(t, w.Upsert(t.Context(), web, deploy.Upstream{})) // no release yet: it goes on
	w.wants(http.StatusOK, "legacy")
	w.live("tf-web-1")
	is := w.npm.Host(host)
	for _, key := range []string{"id", "domain_names", "certificate_id", "http2_support", "block_exploits", "allow_websocket_upgrade"} {
		if !reflect.DeepEqual(is[key], was[key]) {
			t.Errorf("%s is %v, was %v", key, is[key], was[key])
		}
	}
	if meta := is["meta"].(map[string]any); meta["note"] != "by hand" || meta["tinyforge"] == nil {
		t.Errorf("the meta is %v", meta)
	}
	alias := db.Route{WorkloadID: web.WorkloadID, Host: "example.com"} // the other name of the same proxy host
	must(t, w.Upsert(t.Context(), alias, newUp(w, "tf-web-1")))

	must(t, w.Upsert(t.Context(), web, deploy.Upstream{})) // the first deployment is undone
	w.wants(http.StatusOK, "legacy")
	w.live("tf-web-2")
	w.live("tf-web-3")
	must(t, w.Upsert(t.Context(), web, deploy.Upstream{})) // the old one has had its time
	w.wants(http.StatusServiceUnavailable, "")

	fails(t, w.Upsert(t.Context(), db.Route{WorkloadID: 7, Host: "example.com"}, newApp(t, "tf-x-1", 200)), "another workload's")
	must(t, w.Delete(t.Context(), web))
	w.wants(http.StatusOK, "legacy")
	is = w.npm.Host(host)
	maps.DeleteFunc(is, func(key string, _ any) bool { return key == "modified_on" })
	maps.DeleteFunc(was, func(key string, _ any) bool { return key == "modified_on" })
	if !reflect.DeepEqual(is, was) {
		t.Errorf("it is given back as\n%v\nand was\n%v", is, was)
	}
}

// newUp is the upstream that nginx knows by a name already.
func newUp(w *world, name string) deploy.Upstream {
	up, err := w.Current(w.t.Context(), web)
	must(w.t, err)
	up.Name = name
	return up
}

// TestS15_FailedAdoptionIsUndone: the first release cannot be reached.
func TestS15_FailedAdoptionIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, adopting)
	legacy := newApp(t, "legacy", http.StatusOK)
	by := foreign()
	by["forward_port"] = float64(portOf(legacy.Addr))
	w.person(by)
	was := w.npm.Host(host)
	fails(t, w.Router.Upsert(t.Context(), web, newApp(t, "tf-web-1", http.StatusOK)), "cannot connect")
	w.wants(http.StatusOK, "legacy")
	if is := w.npm.Host(host); !reflect.DeepEqual(is["advanced_config"], was["advanced_config"]) || is["meta"].(map[string]any)["tinyforge"] != nil {
		t.Errorf("it is left as %v", is)
	}
}

// TestS15_HostWithARootOfItsOwn would go on to where its own location leads.
func TestS15_HostWithARootOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]map[string]any{
		"advanced": {"advanced_config": "location / {\n return 200; }\n"},
		"location": {"locations": []any{map[string]any{"path": "/", "forward_scheme": "http", "forward_host": "127.0.0.1", "forward_port": 9.0}}},
	} {
		w := newWorld(t, adopting)
		by := foreign()
		maps.Copy(by, change)
		w.person(by)
		w.npm.Wrap(nil)
		fails(t, w.Upsert(t.Context(), web, newApp(t, "tf-web-1", http.StatusOK)), "a location / of its own")
		if w.npm.Writes() != 0 {
			t.Errorf("%s: it writes %q", name, w.npm.Calls())
		}
	}
}

// TestS15_HostChangesHands between workloads of ours.
func TestS15_HostChangesHands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.live("tf-web-1")
	heir := db.Route{WorkloadID: 2, Host: host}
	up := newApp(t, "tf-heir-1", http.StatusOK)
	must(t, w.Upsert(t.Context(), heir, up))
	w.wants(http.StatusOK, "tf-heir-1")
	if got, err := w.Current(t.Context(), heir); err != nil || got != up {
		t.Errorf("current is %+v, %v", got, err)
	}
}

// TestS15_DeleteWhileBroken: the answer is 500, and the proxy host is gone all the same.
func TestS15_DeleteWhileBroken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	up := w.live("tf-web-1")
	w.npm.Break(brokenElsewhere)
	other := w.again(func(c *npm.Config) { c.Settle = time.Second }) // waits in vain that nginx is told
	for range 2 {
		must(t, other.Delete(t.Context(), web))
	}
	if w.npm.Host(host) != nil {
		t.Error("the proxy host is there")
	}
	w.npm.Break("")
	must(t, w.again(nil).Upsert(t.Context(), web, up))
	w.wants(http.StatusOK, "tf-web-1")
}
