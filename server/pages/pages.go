// Package pages draws the yard for people: which servers run what, which Coaches are on their way, and what happened last.
//
// It gets the API's own types and words them in the visitor's language; it reads nothing and decides nothing. A page is drawn whole, into
// memory, before its first byte is sent. The same page stays true by itself: page.js listens to the event stream, asks for the page again
// and changes what differs. Everything a page needs is embedded; it asks no other host for anything.
package pages

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"reflect"
	"regexp"
	"strings"
	"time"
)

//go:embed templates
var templates embed.FS

// Pages holds the templates, one set per language. It is safe for concurrent use.
type Pages struct {
	byLang map[Lang]*template.Template
}

// New reads the embedded templates.
func New() (*Pages, error) {
	p := &Pages{byLang: map[Lang]*template.Template{}}
	for _, lang := range Langs() {
		t, err := template.New("").Funcs(functions(lang)).ParseFS(templates, "templates/*.html")
		if err != nil {
			return nil, fmt.Errorf("read the templates: %w", err)
		}
		p.byLang[lang] = t
	}
	return p, nil
}

// Draw returns the page of a view: a Yard, a CoachPage, a Login or a Trouble.
func (p *Pages) Draw(v View) ([]byte, error) {
	var page bytes.Buffer
	frame := v.frame()
	t, ok := p.byLang[frame.Lang]
	if !ok {
		t = p.byLang[English]
	}
	if err := t.ExecuteTemplate(&page, v.template(), v); err != nil {
		return nil, fmt.Errorf("draw page %s: %w", frame.Path, err)
	}
	return page.Bytes(), nil
}

func functions(lang Lang) template.FuncMap {
	return template.FuncMap{
		"t":     func(key string, args ...any) string { return say(lang, key, pointedAt(args)...) },
		"word":  func(kind string, word any) string { return sayWord(lang, kind, fmt.Sprint(pointedAt([]any{word})...)) },
		"asset": assetURL,
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"clock": func(t time.Time) string { return t.UTC().Format("15:04:05") },
		"date":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
		"short": short,
		"story": story,
		"long":  func(text string) bool { return strings.Contains(strings.TrimSpace(text), "\n") },
	}
}

// pointedAt takes the API's optional fields for what they say, as templates do where they print them.
func pointedAt(args []any) []any {
	values := make([]any, len(args))
	for i, arg := range args {
		values[i] = arg
		if v := reflect.ValueOf(arg); v.Kind() == reflect.Pointer && !v.IsNil() {
			values[i] = v.Elem().Interface()
		}
	}
	return values
}

var candidate = regexp.MustCompile(`-[0-9]+\.[0-9]+$`)

// story is the page of a Coach ("hotel-api-7.2") or of a Train ("hotel-line-3").
func story(id string) string {
	if candidate.MatchString(id) {
		return "/coaches/" + id
	}
	return "/trains/" + id
}

// short cuts a commit, a digest or a revision to what people compare.
func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(10, len(id))]
}
