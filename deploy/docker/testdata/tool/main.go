// Tool is what test Dockerfiles run in place of a shell.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var commands = map[string]func(args []string){
	// say WORDS...
	"say": func(args []string) { fmt.Println(strings.Join(args, " ")) },
	// bar: a progress bar, written over itself
	"bar": func([]string) { fmt.Print("10%\r50%\r100%\n") },
	// cat FILE
	"cat": func(args []string) { fmt.Println(string(must(os.ReadFile(args[0])))) },
	// length FILE OUT: what a step can tell of a secret without telling it
	"length": func(args []string) { note(args[1], len(must(os.ReadFile(args[0])))) },
	// env NAME
	"env": func(args []string) { fmt.Println(os.Getenv(args[0])) },
	// exit CODE
	"exit": func(args []string) { os.Exit(must(strconv.Atoi(args[0]))) },

	"fill": fill, "keep": keep, "flood": flood, "eat": eat, "wait": wait, "hold": hold, "count": count,
	"raw": raw, "self": self, "reach": reach, "addresses": addresses, "space": space,
}

func main() { commands[os.Args[1]](os.Args[2:]) }

// stay is what a command does that is to be looked at, or ended.
func stay() { time.Sleep(10 * time.Minute) }

func note(file string, n int) { must(0, os.WriteFile(file, fmt.Append(nil, n), 0o644)) }

// fill FILE MEGABYTES
func fill(args []string) {
	f := must(os.Create(args[0]))
	for range must(strconv.Atoi(args[1])) {
		must(f.Write(make([]byte, 1<<20)))
	}
}

// keep FILE LINE: adds a line, shows the file, and stays.
func keep(args []string) {
	f := must(os.OpenFile(args[0], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
	must(fmt.Fprintln(f, args[1]))
	fmt.Print(string(must(os.ReadFile(args[0]))))
	stay()
}

// flood: sixty lines in turns to both outputs, then a long one.
func flood([]string) {
	for i := range 60 {
		fmt.Fprintln([]*os.File{os.Stdout, os.Stderr}[i%2], "line", i)
	}
	fmt.Print(strings.Repeat("x", 20<<10), "\ndone\n")
	stay()
}

// eat: takes memory until it is killed.
func eat([]string) {
	for all := []byte(nil); ; {
		all = append(all, bytes.Repeat([]byte("x"), 1<<20)...)
	}
}

// wait: says so, and waits to be killed.
func wait([]string) {
	fmt.Println("waiting")
	stay()
}

// hold: ignores the request to end.
func hold([]string) {
	signal.Ignore(syscall.SIGTERM)
	fmt.Println("holding")
	stay()
}

// count DIR FILE: notes how many files a folder has, and adds one.
func count(args []string) {
	note(args[1], len(must(os.ReadDir(args[0]))))
	must(os.CreateTemp(args[0], "x"))
}

// raw: opens a raw socket, says how that went, and stays.
func raw([]string) {
	_, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP)
	fmt.Println("raw socket:", err)
	stay()
}

// self FOLDERS...: who it is, what it may do, and which folders it can write to; then it stays.
func self(args []string) {
	fmt.Printf("user %d:%d\n", os.Getuid(), os.Getgid())
	for line := range strings.Lines(string(must(os.ReadFile("/proc/self/status")))) {
		if bits, found := strings.CutPrefix(line, "CapBnd:"); found {
			fmt.Println("capabilities", strings.TrimSpace(bits))
		}
	}
	for _, dir := range args {
		_, err := os.Create(dir + "/x")
		fmt.Println(dir, "writable:", err == nil)
	}
	stay()
}

// reach NAMES...: which names are known; then it stays.
func reach(args []string) {
	for _, name := range args {
		_, err := net.LookupHost(name)
		fmt.Println(name, "known:", err == nil)
	}
	stay()
}

// addresses NAME: how many a name has; then it stays.
func addresses(args []string) {
	found, _ := net.LookupHost(args[0])
	fmt.Println(args[0], "has", len(found), "addresses")
	stay()
}

// space DIR: how large its disk is; then it stays.
func space(args []string) {
	var fs syscall.Statfs_t
	must(0, syscall.Statfs(args[0], &fs))
	fmt.Println(args[0], "has", int64(fs.Blocks)*fs.Bsize, "bytes")
	stay()
}

func must[T any](v T, err ...error) T {
	for _, e := range err {
		if e != nil {
			fmt.Fprintln(os.Stderr, e)
			os.Exit(1)
		}
	}
	return v
}
