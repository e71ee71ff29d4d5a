package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// farmOurs gives a proxy its routes over its socket, which it keeps in files.
func farmOurs(ctx context.Context, s *stage, sites int, upstream string) (*restarted, error) {
	p, err := startOurs(ctx, s, upstream)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	if err := p.client.Delete(ctx, route(host)); err != nil {
		return nil, err
	}
	for n := range sites {
		if err := p.client.Upsert(ctx, route(siteName(n)), at("bench-1", upstream)); err != nil {
			return nil, err
		}
	}
	return &restarted{name: ours, sites: sites, address: p.plain, start: func() (*process, error) {
		err := p.startAnew(s)
		return p.process, err
	}}, nil
}

func farmNginx(_ context.Context, s *stage, sites int, upstream string) (*restarted, error) {
	var servers strings.Builder
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	for n := range sites {
		fmt.Fprintf(&servers, "  server { listen %s; server_name %s; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host; } }\n",
			address, siteName(n))
	}
	name := fmt.Sprintf("nginx-%d", sites)
	config, err := s.write(name+".conf", `daemon off;
worker_processes auto;
pid %[1]s/%[2]s.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path %[1]s/%[2]s-body;
  proxy_temp_path %[1]s/%[2]s-proxy;
  fastcgi_temp_path %[1]s/%[2]s-f; uwsgi_temp_path %[1]s/%[2]s-u; scgi_temp_path %[1]s/%[2]s-s;
  server_names_hash_max_size 8192;
  server_names_hash_bucket_size 128;
  upstream app { server %[3]s; keepalive 256; }
%[4]s}
`, s.dir, name, upstream, servers.String())
	if err != nil {
		return nil, err
	}
	return s.restarted("nginx", sites, address, name, "nginx", "-c", config), nil
}

// farmHAProxy has a backend for each site, which a map finds.
func farmHAProxy(_ context.Context, s *stage, sites int, upstream string) (*restarted, error) {
	var table, backends strings.Builder
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	for n := range sites {
		fmt.Fprintf(&table, "%s site%d\n", siteName(n), n)
		fmt.Fprintf(&backends, "backend site%d\n  server app %s\n", n, upstream)
	}
	name := fmt.Sprintf("haproxy-%d", sites)
	hosts, err := s.write(name+".map", "%s", table.String())
	if err != nil {
		return nil, err
	}
	config, err := s.write(name+".cfg", `defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend sites
  bind %s
  use_backend %%[req.hdr(host),lower,map(%s)]
%s`, address, hosts, backends.String())
	if err != nil {
		return nil, err
	}
	return s.restarted("haproxy", sites, address, name, "haproxy", "-db", "-f", config), nil
}

func farmCaddy(_ context.Context, s *stage, sites int, upstream string) (*restarted, error) {
	type object = map[string]any
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	list := make([]object, sites)
	for n := range list {
		list[n] = object{"match": []object{{"host": []string{siteName(n)}}}, "handle": []object{{
			"handler": "reverse_proxy", "upstreams": []object{{"dial": upstream}}}}}
	}
	text, err := json.Marshal(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"level": "ERROR"}}},
		"apps": object{"http": object{"servers": object{"plain": object{
			"listen": []string{address}, "automatic_https": object{"disable": true}, "routes": list}}}},
	})
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("caddy-%d", sites)
	config, err := s.write(name+".json", "%s", text)
	if err != nil {
		return nil, err
	}
	return s.restarted(caddyNow, sites, address, name, s.self, "peer", "caddy", config), nil
}

// restarted is a peer that has all it needs in its configuration.
func (s *stage) restarted(who string, sites int, address, name, command string, args ...string) *restarted {
	home := []string{"HOME=" + s.dir, "XDG_DATA_HOME=" + s.dir, "XDG_CONFIG_HOME=" + s.dir}
	return &restarted{name: who, sites: sites, address: address, start: func() (*process, error) {
		return start(s.dir, name, home, command, args...)
	}}
}
