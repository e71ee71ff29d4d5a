package settings

import (
	"bufio"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tinyforge/db"
)

const (
	logLines   = 1000 // of a log that a page shows
	logBlock   = 200  // lines that a browser lays out together
	logContext = 50   // lines before one that is linked to
	mostFound  = 500  // hits that are linked to
	mostQuery  = 200  // characters that are searched for
)

// logPart is a part of a deployment's log.
type logPart struct {
	Path    string // of the deployment's page
	Blocks  []template.HTML
	First   int // numbers of the lines that are shown; 0 where there is none
	Last    int
	Total   int
	Earlier string // the address of what is before it; "" where it begins with the first line
	Later   string
	Query   string
	Found   int   // lines that hold what was searched for
	Hits    []hit // the first of them
	Running bool  // lines may follow the last
}

// hit is a line that was searched for.
type hit struct {
	Number int
	Href   string
}

// logPart reads the part of the log that the address asks for: from a line on, up to a line, or the end.
func (v *visit) logPart(w db.Workload, dep db.Deployment, query url.Values) (p logPart, err error) {
	ctx := v.r.Context()
	p = logPart{Path: deploymentPath(w, dep.ID), Query: strings.TrimSpace(query.Get("q")), Running: !dep.Phase.Final()}
	p.Query = string([]rune(p.Query)[:min(len([]rune(p.Query)), mostQuery)])
	if p.Total, err = v.DB.CountLog(ctx, dep.ID); err != nil {
		return p, err
	}
	if p.Query != "" {
		numbers, count, err := v.DB.FindLog(ctx, dep.ID, p.Query, mostFound)
		if err != nil {
			return p, err
		}
		p.Found = count
		for _, n := range numbers {
			p.Hits = append(p.Hits, hit{Number: n})
		}
	}
	first := p.first(query)
	lines, err := v.DB.LogFrom(ctx, dep.ID, first, logLines)
	if err != nil || len(lines) == 0 {
		return p, err
	}
	p.First, p.Last = first, first+len(lines)-1
	p.Total = max(p.Total, p.Last)
	p.Blocks = v.blocks(lines, first, p.Query)
	if p.First > 1 {
		p.Earlier = p.at("before", p.First) + "#log"
	}
	if p.Last < p.Total {
		p.Later = p.at("from", p.Last+1) + "#log"
	}
	for i, h := range p.Hits {
		p.Hits[i].Href = "#L" + strconv.Itoa(h.Number)
		if h.Number < p.First || h.Number > p.Last {
			p.Hits[i].Href = p.at("from", h.Number) + p.Hits[i].Href
		}
	}
	return p, nil
}

// first is the number of the first line to show.
func (p *logPart) first(query url.Values) int {
	last := max(1, p.Total-logLines+1)
	if n, err := strconv.Atoi(query.Get("before")); err == nil {
		return max(1, min(n, p.Total+1)-logLines)
	}
	n, err := strconv.Atoi(query.Get("from"))
	if err != nil && len(p.Hits) > 0 {
		n, err = p.Hits[0].Number, nil
	}
	if err != nil {
		return last
	}
	return max(1, min(n-logContext, last))
}

// at is the address of another part of the log.
func (p *logPart) at(name string, number int) string {
	return address(p.Path, name, strconv.Itoa(number), "q", p.Query)
}

// blocks writes lines of which the first has a number. A template would take ten times as long.
func (v *visit) blocks(lines []db.LogLine, first int, query string) (blocks []template.HTML) {
	for block := range slices.Chunk(lines, logBlock) {
		var b strings.Builder
		for _, l := range block {
			fmt.Fprintf(&b, `<p id="L%d" title="%s"><a href="#L%d">%d</a>`, first, v.Clock(l.At), first, first)
			for _, p := range find(paint(l.Text), query) {
				p.write(&b)
			}
			b.WriteString("</p>")
			first++
		}
		blocks = append(blocks, template.HTML(b.String())) //nolint:gosec // every text in it is escaped
	}
	return blocks
}

// logText answers with the whole log as text.
func (v *visit) logText() error {
	w, dep, err := v.namedDeployment()
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if v.r.URL.Query().Get("download") != "" {
		h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fmt.Sprintf("%s-%d.txt", w.Name, dep.ID)))
	}
	out := bufio.NewWriter(v.w)
	for last := int64(0); ; {
		lines, err := v.DB.Log(v.r.Context(), dep.ID, last, logLines)
		if err != nil && last == 0 {
			return err
		}
		if err != nil {
			panic(http.ErrAbortHandler) // half of it must not look like the whole
		}
		for _, l := range lines {
			last = l.ID
			_, _ = out.WriteString(l.Plain() + "\n")
		}
		if len(lines) < logLines {
			_ = out.Flush()
			return nil
		}
	}
}
