// Package templates holds what the pages look like and what they say: html/template files, the texts of every language, the
// style sheet and the script. It knows nothing of what is shown.
package templates

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"
)

//go:embed layout all:pages
var pageFiles embed.FS

// Set is all pages in all languages. It is safe for concurrent use.
type Set struct {
	catalogs map[string]*catalog
	static   *Static
	now      func() time.Time

	mu       sync.Mutex
	compiled map[place]map[string]*template.Template // by page
}

// place is where a reader is: their language and time zone.
type place struct{ language, zone string }

// New reads all texts. now is asked for the time that relative times go by.
func New(now func() time.Time) (*Set, error) {
	s := &Set{catalogs: map[string]*catalog{}, now: now, compiled: map[place]map[string]*template.Template{}}
	for _, lang := range Languages {
		c, err := loadCatalog(localeFiles, lang)
		if err != nil {
			return nil, err
		}
		s.catalogs[lang] = c
	}
	var err error
	if s.static, err = newStatic(); err != nil {
		return nil, err
	}
	_, err = s.pages(place{Languages[0], "UTC"}) // a fault in a template is known at the start
	return s, err
}

// Static serves the style sheet, the script and the icons.
func (s *Set) Static() *Static { return s.static }

// Printer writes in a language, the first one where there is none such, and in a time zone, UTC where it is not known.
func (s *Set) Printer(lang, zone string) *Printer {
	c, ok := s.catalogs[lang]
	if !ok {
		c = s.catalogs[Languages[0]]
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		location = time.UTC
	}
	return &Printer{catalog: c, zone: location, now: s.now}
}

// Render writes a page, such as "workloads/list". What is executed is given the printer's texts; data is what the page's
// template names. Nothing is returned of a page that cannot be finished.
func (s *Set) Render(p *Printer, page string, data any) ([]byte, error) {
	return s.render(p, page, "frame", data)
}

// Part writes one named template of a page.
func (s *Set) Part(p *Printer, page, name string, data any) ([]byte, error) {
	return s.render(p, page, name, data)
}

func (s *Set) render(p *Printer, page, name string, data any) ([]byte, error) {
	pages, err := s.pages(place{p.Language(), p.zone.String()})
	if err != nil {
		return nil, err
	}
	t, ok := pages[page]
	if !ok {
		return nil, fmt.Errorf("render page: there is no %q", page)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, data); err != nil {
		return nil, fmt.Errorf("render page: %w", err)
	}
	return b.Bytes(), nil
}

// Pages are the names of all pages.
func Pages() ([]string, error) {
	names, err := fs.Glob(pageFiles, "pages/*/[^_]*.html")
	for i, name := range names {
		names[i] = strings.TrimSuffix(strings.TrimPrefix(name, "pages/"), ".html")
	}
	return names, err
}

// pages compiles all pages for a place, once.
func (s *Set) pages(at place) (map[string]*template.Template, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pages, ok := s.compiled[at]; ok {
		return pages, nil
	}
	layout, err := template.New("").Funcs(s.functions(s.Printer(at.language, at.zone))).ParseFS(pageFiles, "layout/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse layout: %w", err)
	}
	names, err := Pages()
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		t, err := layout.Clone()
		if err != nil {
			return nil, fmt.Errorf("parse page: %w", err)
		}
		// The parts of a noun are shared by its pages.
		if parts := path.Join("pages", path.Dir(name), "_parts.html"); exists(parts) {
			if t, err = t.ParseFS(pageFiles, parts); err != nil {
				return nil, fmt.Errorf("parse page: %w", err)
			}
		}
		if t, err = t.ParseFS(pageFiles, path.Join("pages", name+".html")); err != nil {
			return nil, fmt.Errorf("parse page: %w", err)
		}
		pages[name] = t
	}
	s.compiled[at] = pages
	return pages, nil
}

func exists(name string) bool {
	_, err := fs.Stat(pageFiles, name)
	return err == nil
}
