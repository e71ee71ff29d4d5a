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

func main() {
	switch command, args := os.Args[1], os.Args[2:]; command {
	case "say": // say WORDS...
		fmt.Println(strings.Join(args, " "))
	case "bar": // a progress bar, written over itself
		fmt.Print("10%\r50%\r100%\n")
	case "cat": // cat FILE
		text := must(os.ReadFile(args[0]))
		fmt.Println(string(text))
	case "length": // length FILE OUT: what a step can tell of a secret without telling it
		must(0, os.WriteFile(args[1], fmt.Append(nil, len(must(os.ReadFile(args[0])))), 0o644))
	case "env": // env NAME
		fmt.Println(os.Getenv(args[0]))
	case "fill": // fill FILE MEGABYTES
		f := must(os.Create(args[0]))
		for range must(strconv.Atoi(args[1])) {
			must(f.Write(make([]byte, 1<<20)))
		}
	case "keep": // keep FILE LINE: adds a line, shows the file, and stays
		f := must(os.OpenFile(args[0], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
		must(fmt.Fprintln(f, args[1]))
		fmt.Print(string(must(os.ReadFile(args[0]))))
		time.Sleep(10 * time.Minute)
	case "flood": // sixty lines in turns to both outputs, then a long one
		for i := range 60 {
			fmt.Fprintln([]*os.File{os.Stdout, os.Stderr}[i%2], "line", i)
		}
		fmt.Print(strings.Repeat("x", 20<<10), "\ndone\n")
		time.Sleep(10 * time.Minute)
	case "eat": // takes memory until it is killed
		for all := []byte(nil); ; {
			all = append(all, bytes.Repeat([]byte("x"), 1<<20)...)
		}
	case "wait": // says so, and waits to be killed
		fmt.Println("waiting")
		time.Sleep(10 * time.Minute)
	case "raw": // opens a raw socket, says how that went, and stays
		_, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP)
		fmt.Println("raw socket:", err)
		time.Sleep(10 * time.Minute)
	case "self": // self FOLDERS...: who it is, what it may do, and which folders it can write to; then it stays
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
		time.Sleep(10 * time.Minute)
	case "reach": // reach NAMES...: which names are known; then it stays
		for _, name := range args {
			_, err := net.LookupHost(name)
			fmt.Println(name, "known:", err == nil)
		}
		time.Sleep(10 * time.Minute)
	case "addresses": // addresses NAME: how many a name has; then it stays
		found, _ := net.LookupHost(args[0])
		fmt.Println(args[0], "has", len(found), "addresses")
		time.Sleep(10 * time.Minute)
	case "space": // space DIR: how large its disk is; then it stays
		var fs syscall.Statfs_t
		must(0, syscall.Statfs(args[0], &fs))
		fmt.Println(args[0], "has", int64(fs.Blocks)*fs.Bsize, "bytes")
		time.Sleep(10 * time.Minute)
	case "count": // count DIR FILE: notes how many files a folder has, and adds one
		must(0, os.WriteFile(args[1], fmt.Append(nil, len(must(os.ReadDir(args[0])))), 0o644))
		must(os.CreateTemp(args[0], "x"))
	case "exit": // exit CODE
		os.Exit(must(strconv.Atoi(args[0])))
	case "hold": // ignores the request to end
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("holding")
		time.Sleep(10 * time.Minute)
	}
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
