package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tinyforge/deploy/deploytest"
)

func TestSampleEndsGracefully(t *testing.T) {
	program := build(t)
	port := freePort(t)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "PORT="+port, "UP_AFTER=1h")
	out := startProgram(t, cmd)
	if line := <-out; line != "sampleapp seven: listening on port "+port {
		t.Errorf("it says %q", line)
	}
	dial(t, port).Close()
	url := "http://127.0.0.1:" + port
	for path, want := range map[string]string{"/": "200 seven", "/up": "503 not yet", "/nowhere": "404 404 page not found"} {
		if got := get(t, url+path); got != want {
			t.Errorf("%s answers %q, want %q", path, got, want)
		}
	}
	echoed, err := http.Post(url+"/echo", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(echoed.Body); string(body) != "hello" {
		t.Errorf("/echo answers %q", body)
	}
	echoed.Body.Close()
	conn := dial(t, port)
	if _, err := io.WriteString(conn, "GET /slow?ms=500 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	get(t, url+"/") // on a connection that was made later, and is answered: the slow one is in flight
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || !strings.Contains(string(got), "seven") {
		t.Errorf("the request in flight got %q, %v", got, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func TestSampleExits(t *testing.T) {
	cmd := exec.Command(build(t))
	cmd.Env = append(os.Environ(), "EXIT_AFTER=0s", "EXIT_CODE=3", "VERSION=eight")
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 3 || string(out) != "sampleapp eight: will exit with 3\n" {
		t.Errorf("exit code %d, output %q", cmd.ProcessState.ExitCode(), out)
	}
}

func TestSampleReadsItsVersion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "version")
	if err := os.WriteFile(file, []byte("9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(build(t))
	cmd.Env = append(os.Environ(), "EXIT_AFTER=0s", "VERSION=eight", "VERSION_FILE="+file)
	if out, _ := cmd.CombinedOutput(); string(out) != "sampleapp 9: will exit with 1\n" {
		t.Errorf("output %q", out)
	}
}

func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sampleapp")
	if err := deploytest.BuildSample(t.Context(), program, "seven"); err != nil {
		t.Fatal(err)
	}
	return program
}

func startProgram(t *testing.T, cmd *exec.Cmd) <-chan string {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := make(chan string, 10)
	go func() {
		for s := bufio.NewScanner(stdout); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// dial connects once the program listens.
func dial(t *testing.T, port string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status[:3] + " " + strings.TrimSpace(string(body))
}
