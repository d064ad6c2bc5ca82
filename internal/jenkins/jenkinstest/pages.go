package jenkinstest

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"strconv"
	"time"
)

//go:embed pages.html
var pagesHTML string

// pages are plain, so that a person who follows a link sees what there is.
var pages = template.Must(template.New("pages").Parse(pagesHTML))

type crumbLink struct{ Name, Path string }

type buildRow struct {
	Name, Path, Result, Description string
	Started                         string // "2026-03-01 12:00:03"
	Took                            string // "12.3 sec"
	Running                         bool
	Params                          []param
}

// page shows a template. Every page has the way back to the top.
func (q *request) page(name string, title string, at *item, content map[string]any) {
	var trail []crumbLink
	for it := at; it != nil; it = it.parent {
		label := it.name
		if it.parent == nil {
			label = "Jenkins"
		}
		trail = append([]crumbLink{{label, q.o.ContextPath + "/" + it.path()}}, trail...)
	}
	content["Title"], content["Trail"] = title, trail
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, content); err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	q.html(http.StatusOK, b.Bytes())
}

func (q *request) folderPage(f *item) {
	type row struct{ Name, Path, Color string }
	var rows []row
	for _, it := range f.children() {
		r := row{Name: it.name, Path: q.o.ContextPath + "/" + it.path(), Color: "folder"}
		if !it.isFolder() {
			r.Color = q.color(it)
		}
		rows = append(rows, r)
	}
	title := "Jenkins"
	if f.parent != nil {
		title = f.fullName()
	}
	q.page("folder", title, f, map[string]any{"Items": rows})
}

func (q *request) jobPage(j *item) {
	var builds []buildRow
	for b := range j.newest() {
		if len(builds) == 50 {
			break
		}
		builds = append(builds, q.buildRow(b))
	}
	var waiting []string
	for _, item := range q.c.queue {
		if item.job == j {
			waiting = append(waiting, q.c.why(item))
		}
	}
	q.page("job", j.fullName(), j, map[string]any{
		"Description": j.config.description, "Disabled": j.config.disabled, "Builds": builds, "Waiting": waiting,
	})
}

func (q *request) buildPage(b *build) {
	q.page("build", b.job.fullName()+" "+b.name(), b.job, map[string]any{
		"Build": q.buildRow(b), "Running": b.inProgress(),
	})
}

func (q *request) consolePage(b *build) {
	text, _, _, err := b.console.read(0)
	if err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	q.page("console", b.job.fullName()+" "+b.name()+" Console", b.job, map[string]any{
		"Build": q.buildRow(b), "Running": b.inProgress(), "Text": string(text),
	})
}

func (q *request) buildRow(b *build) buildRow {
	row := buildRow{
		Name: b.name(), Path: q.o.ContextPath + "/" + b.path(), Result: string(b.Result), Description: b.Description,
		Started: b.Started.Format(time.DateTime), Took: span(b.Duration), Running: b.inProgress(),
	}
	if row.Running {
		row.Result, row.Took = "running", "for "+span(q.c.o.Clock.Now().Sub(b.Started))
	}
	for _, p := range b.Params {
		if p.Kind == "PasswordParameterValue" {
			p.Value = "****"
		}
		row.Params = append(row.Params, p)
	}
	if b.DisplayName != "" {
		row.Name += " (#" + strconv.FormatInt(b.Number, 10) + ")"
	}
	return row
}
