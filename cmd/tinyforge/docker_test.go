package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// dockerAPI is as much of the engine's API as these tests need, without the client that they test.
type dockerAPI struct {
	*testing.T
	client *http.Client
}

// container is one as the engine lists it.
type container struct {
	ID     string `json:"Id"`
	Names  []string
	State  string
	Labels map[string]string
}

func newDockerAPI(t *testing.T) dockerAPI {
	return dockerAPI{t, &http.Client{Transport: &http.Transport{DialContext: dialDocker, DisableKeepAlives: true}}}
}

func dialDocker(ctx context.Context, _, _ string) (net.Conn, error) {
	socket := "/var/run/docker.sock"
	if named, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
		socket = named
	}
	return new(net.Dialer).DialContext(ctx, "unix", socket)
}

// containers returns those of a Tinyforge, whatever their state.
func (d dockerAPI) containers(instance string) (all []container) {
	d.Helper()
	d.call(http.MethodGet, "/containers/json?all=1&"+filter("label", "tinyforge.instance="+instance), &all)
	return all
}

// address returns where a container listens, seen from this machine.
func (d dockerAPI) address(id, network string) string {
	d.Helper()
	var c struct {
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress string }
		}
	}
	d.call(http.MethodGet, "/containers/"+id+"/json", &c)
	return net.JoinHostPort(c.NetworkSettings.Networks[network].IPAddress, "8080")
}

// sweep removes what a Tinyforge made.
func (d dockerAPI) sweep(instance string) {
	for _, c := range d.containers(instance) {
		d.call(http.MethodDelete, "/containers/"+c.ID+"?force=1&v=1", nil)
	}
	var networks, images []struct{ ID string }
	d.call(http.MethodGet, "/networks?"+filter("label", "tinyforge.instance="+instance), &networks)
	for _, n := range networks {
		d.call(http.MethodDelete, "/networks/"+n.ID, nil)
	}
	for _, of := range []string{filter("label", "tinyforge.built-by="+instance), filter("reference", "tinyforge/pulled-by:"+instance+".*")} {
		d.call(http.MethodGet, "/images/json?"+of, &images)
		for _, i := range images {
			d.removeImage(i.ID)
		}
	}
	var all struct{ Volumes []struct{ Name string } }
	d.call(http.MethodGet, "/volumes?"+filter("label", "tinyforge.instance="+instance), &all)
	for _, v := range all.Volumes {
		d.call(http.MethodDelete, "/volumes/"+v.Name, nil)
	}
}

func (d dockerAPI) removeImage(name string) {
	d.call(http.MethodDelete, "/images/"+name+"?force=1", nil)
}

func filter(name, value string) string {
	text, err := json.Marshal(map[string][]string{name: {value}})
	if err != nil {
		panic(err)
	}
	return "filters=" + url.QueryEscape(string(text))
}

// call accepts that something is gone, or is being removed by somebody else.
func (d dockerAPI) call(method, path string, into any) {
	d.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(d.Context()), method, "http://docker"+path, nil)
	if err != nil {
		d.Fatal(err)
	}
	response, err := d.client.Do(request)
	if err != nil {
		d.Fatalf("these tests need a running Docker: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		d.Fatal(err)
	}
	switch code := response.StatusCode; {
	case code < 300 && into != nil:
		if err := json.Unmarshal(body, into); err != nil {
			d.Fatal(err)
		}
	case code >= 300 && code != http.StatusNotFound && code != http.StatusConflict:
		d.Errorf("%s %s: %d %s", method, path, code, body)
	}
}
