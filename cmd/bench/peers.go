package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
)

// addresses are two that are free, for HTTP and HTTPS.
func addresses() (plain, secure string, err error) {
	if plain, err = freeAddress(); err == nil {
		secure, err = freeAddress()
	}
	return plain, secure, err
}

// run starts a peer and waits until it listens.
func (s *stage) run(ctx context.Context, name, plain, secure, command string, args ...string) (*proxied, error) {
	process, err := start(s.dir, name, []string{"HOME=" + s.dir, "XDG_DATA_HOME=" + s.dir, "XDG_CONFIG_HOME=" + s.dir}, command, args...)
	if err != nil {
		return nil, err
	}
	p := &proxied{process: process, plain: plain, secure: secure, dir: s.dir}
	if err := p.answers(ctx, plain); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// log is a file for what a peer logs of each request, or what stands for none.
func (s *stage) log(name, none string) string {
	if !s.logs {
		return none
	}
	return filepath.Join(s.dir, name+"-access.log")
}

// startNginx keeps connections to the upstream, which nginx does not do by itself, and as many requests on them as will come.
func startNginx(ctx context.Context, s *stage, upstream string) (*proxied, error) {
	plain, secure, err := addresses()
	if err != nil {
		return nil, err
	}
	config, err := s.writeNginx(plain, secure, upstream)
	if err != nil {
		return nil, err
	}
	return s.run(ctx, "nginx", plain, secure, "nginx", "-c", config)
}

// writeNginx makes the file of nginx's configuration, or makes it anew.
func (s *stage) writeNginx(plain, secure, upstream string) (config string, err error) {
	compression, content := "off", "proxy_pass http://app;"
	if s.compress {
		compression, content = "on", "root "+s.siteFiles()+";"
	}
	return s.write("nginx.conf", `daemon off;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log %[2]s;
  client_body_temp_path %[1]s/nginx-body;
  proxy_temp_path %[1]s/nginx-proxy;
  fastcgi_temp_path %[1]s/nginx-f; uwsgi_temp_path %[1]s/nginx-u; scgi_temp_path %[1]s/nginx-s;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  gzip %[9]s;
  map $http_upgrade $upgraded { default upgrade; "" ""; }
  upstream app { server %[3]s; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen %[4]s;
    listen %[5]s ssl http2;
    server_name %[6]s;
    ssl_certificate %[7]s;
    ssl_certificate_key %[8]s;
    location / {
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $upgraded;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_request_buffering off;
      %[10]s
    }
  }
}
`, s.dir, s.log("nginx", "off"), upstream, plain, secure, host, s.cert, s.key, compression, content)
}

func startHAProxy(ctx context.Context, s *stage, upstream string) (*proxied, error) {
	plain, secure, err := addresses()
	if err != nil {
		return nil, err
	}
	both, err := s.joined()
	if err != nil {
		return nil, err
	}
	compression := "" // it serves no files
	if s.compress {
		compression = "  compression algo gzip\n  compression type text/html\n"
	}
	config, err := s.write("haproxy.cfg", `global
  stats socket %[1]s level admin
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend sites
  bind %[2]s
  bind %[3]s ssl crt %[4]s alpn h2,http/1.1
  option forwardfor
%[6]s  default_backend app
backend app
  server app %[5]s
`, s.haproxySocket(), plain, secure, both, upstream, compression)
	if err != nil {
		return nil, err
	}
	return s.run(ctx, "haproxy", plain, secure, "haproxy", "-db", "-f", config)
}

// haproxySocket is where HAProxy takes orders.
func (s *stage) haproxySocket() string { return filepath.Join(s.dir, "haproxy.sock") }

// joined is the certificate and its key in one file.
func (s *stage) joined() (string, error) {
	cert, err := os.ReadFile(s.cert)
	if err != nil {
		return "", err
	}
	key, err := os.ReadFile(s.key)
	if err != nil {
		return "", err
	}
	return s.write("both.pem", "%s%s", cert, key)
}

// caddyConfig is Caddy with one upstream that stands in its configuration. admin is the address of its API, "" for none.
func (s *stage) caddyConfig(plain, secure, upstream, admin string) ([]byte, error) {
	type object = map[string]any
	handle := []object{{
		"handler": "reverse_proxy", "upstreams": []object{{"dial": upstream}},
		"transport": object{"protocol": "http", "keep_alive": object{"max_idle_conns_per_host": 256}},
	}}
	if s.compress {
		handle = []object{{"handler": "encode", "encodings": object{"gzip": object{}}}, {"handler": "file_server", "root": s.siteFiles()}}
	}
	server := func(address string) object {
		o := object{
			"listen":          []string{address},
			"automatic_https": object{"disable": true},
			"routes":          []object{{"@id": "site", "match": []object{{"host": []string{host}}}, "handle": handle}},
		}
		if s.logs {
			o["logs"] = object{"default_logger_name": "access"}
		}
		return o
	}
	secured := server(secure)
	secured["tls_connection_policies"] = []object{{}}
	delete(secured["routes"].([]object)[0], "@id")
	config := object{
		"admin": object{"disabled": admin == "", "listen": admin, "config": object{"persist": false}},
		"logging": object{"logs": object{
			"default": object{"level": "ERROR", "exclude": []string{"http.log.access"}},
			"access":  object{"include": []string{"http.log.access"}, "writer": object{"output": "file", "filename": s.log("caddy", os.DevNull), "roll": false}},
		}},
		"apps": object{
			"http": object{"servers": object{"plain": server(plain), "secure": secured}},
			"tls":  object{"certificates": object{"load_files": []object{{"certificate": s.cert, "key": s.key}}}},
		},
	}
	return json.Marshal(config)
}

// startCaddy is the Caddy that Tinyforge has in it, without Tinyforge.
func startCaddy(ctx context.Context, s *stage, upstream string) (*proxied, error) {
	return startCaddyBy(ctx, s, "caddy", upstream, "", s.self, "peer", "caddy")
}

func startDebianCaddy(ctx context.Context, s *stage, upstream string) (*proxied, error) {
	return startCaddyBy(ctx, s, "caddy-debian", upstream, "", "caddy", "run", "--config")
}

func startCaddyBy(ctx context.Context, s *stage, name, upstream, admin, command string, args ...string) (*proxied, error) {
	plain, secure, err := addresses()
	if err != nil {
		return nil, err
	}
	text, err := s.caddyConfig(plain, secure, upstream, admin)
	if err != nil {
		return nil, err
	}
	config, err := s.write(name+".json", "%s", text)
	if err != nil {
		return nil, err
	}
	return s.run(ctx, name, plain, secure, command, append(args, config)...)
}

func startHTTPUtil(ctx context.Context, s *stage, upstream string) (*proxied, error) {
	plain, secure, err := addresses()
	if err != nil {
		return nil, err
	}
	return s.run(ctx, "httputil", plain, secure, s.self, "peer", "httputil", upstream, plain, secure, s.cert, s.key)
}

// caddyVersion is that of the module in this program.
func caddyVersion() string { return moduleVersion("github.com/caddyserver/caddy/v2") }

// moduleVersion is that of a module in this program.
func moduleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "unknown"
}
