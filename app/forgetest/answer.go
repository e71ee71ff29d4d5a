package forgetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// answerJSON answers with v.
func answerJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// paging is how a forge names and bounds the parameters of a list.
type paging struct {
	size           string // name of the parameter
	usual, largest int
}

// page returns the part of all that the request asks for, and links to the next and the last one.
func page[T any](w http.ResponseWriter, r *http.Request, by paging, base string, all []T) []T {
	size := atLeastOne(r.URL.Query().Get(by.size), by.usual)
	if size > by.largest {
		size = by.largest
	}
	number := atLeastOne(r.URL.Query().Get("page"), 1)
	last := max(1, (len(all)+size-1)/size)
	if number < last {
		link := func(n int, rel string) string {
			q := r.URL.Query()
			q.Set("page", strconv.Itoa(n))
			q.Set(by.size, strconv.Itoa(size))
			return fmt.Sprintf("<%s%s?%s>; rel=%q", base, r.URL.Path, q.Encode(), rel)
		}
		w.Header().Set("Link", strings.Join([]string{link(number+1, "next"), link(last, "last")}, ", "))
	}
	from := min(len(all), (number-1)*size)
	return all[from:min(len(all), from+size)]
}

func atLeastOne(s string, otherwise int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return otherwise
	}
	return n
}
