// Keeper is a service of the stacks that tests run. It reads and writes files, and asks other services.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	if os.Getenv("JOB") != "" { // ends well
		fmt.Println("job done")
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("VERSION")) })
	mux.HandleFunc("GET /up", func(w http.ResponseWriter, _ *http.Request) {
		if os.Getenv("SICK") != "" {
			http.Error(w, "sick", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("GET /read", func(w http.ResponseWriter, r *http.Request) {
		text, err := os.ReadFile(r.FormValue("path"))
		if err != nil {
			text = []byte(err.Error())
		}
		_, _ = w.Write(text)
	})
	mux.HandleFunc("GET /write", func(_ http.ResponseWriter, r *http.Request) {
		_ = os.WriteFile(r.FormValue("path"), []byte(r.FormValue("text")), 0o600)
	})
	mux.HandleFunc("GET /ask", func(w http.ResponseWriter, r *http.Request) {
		answer, err := http.Get(r.FormValue("url"))
		if err != nil {
			fmt.Fprint(w, err)
			return
		}
		defer answer.Body.Close()
		_, _ = io.Copy(w, answer.Body)
	})
	fmt.Println("keeper listens")
	fmt.Println(http.ListenAndServe(":8080", mux))
	os.Exit(1)
}
