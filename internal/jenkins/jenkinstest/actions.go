package jenkinstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"

	"railyard/internal/jenkins/jenkinstest/export"
)

func (q *request) crumbIssuer() {
	if q.o.DisableCrumbs || !q.isAPI() {
		q.notFound()
		return
	}
	session := q.sec.openSession(q.w, q.r)
	q.json(&export.Object{Class: "hudson.security.csrf.DefaultCrumbIssuer", Fields: []export.Field{
		export.Show("crumb", q.sec.crumb(q.who.name, session, q.r)),
		export.Show("crumbRequestField", crumbField),
	}})
}

// createItem makes an item from posted XML, or from a form that names a class.
func (q *request) createItem(in *item) {
	if !q.post() || !q.allowed(jobCreate) {
		return
	}
	name := q.r.Form.Get("name")
	mediaType, _, _ := mime.ParseMediaType(q.r.Header.Get("Content-Type"))
	doc := q.body
	byForm := mediaType != "application/xml" && mediaType != "text/xml"
	if byForm {
		switch mode := q.r.Form.Get("mode"); mode {
		case classFolder:
			doc = []byte("<" + classFolder + "/>")
		case classFreestyle:
			doc = []byte("<project/>")
		default:
			q.failure("No mode given")
			return
		}
	}
	it, err := q.c.create(in, name, doc)
	var mistake userError
	switch {
	case errors.As(err, &mistake):
		q.failure(mistake.Error())
	case err != nil:
		q.oops(http.StatusInternalServerError, err.Error())
	case byForm:
		q.redirect(it.path() + "configure")
	default:
		q.w.WriteHeader(http.StatusOK)
	}
}

// configXML reads or replaces a configuration. Without a charset in the content
// type the body is taken for ISO-8859-1, as Jenkins does.
func (q *request) configXML(it *item) {
	if q.r.Method != http.MethodPost {
		if q.allowed(jobExtRead) {
			q.w.Header().Set("Content-Type", "application/xml")
			_, _ = q.w.Write(it.config.doc.Bytes()) // into memory
		}
		return
	}
	if !q.allowed(jobConfigure) {
		return
	}
	mediaType, attributes, err := mime.ParseMediaType(q.r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/xml" && mediaType != "text/xml" {
		q.oops(http.StatusInternalServerError, "the content type is not XML")
		return
	}
	doc := q.body
	if attributes["charset"] == "" {
		latin := make([]rune, len(doc))
		for i, b := range doc {
			latin[i] = rune(b)
		}
		doc = []byte(string(latin))
	}
	if err := q.c.reconfigure(it, doc); err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	q.w.WriteHeader(http.StatusOK)
}

func (q *request) enable(j *item, on bool) {
	if !q.post() || !q.allowed(jobConfigure) {
		return
	}
	j.config.setDisabled(!on)
	if err := q.c.saveConfig(j); err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	q.redirect(j.path())
}

// deleteItem answers doDelete with 302 and the HTTP method DELETE with 204.
func (q *request) deleteItem(it *item) {
	byMethod := q.r.Method == http.MethodDelete
	if !byMethod && !q.post() || !q.allowed(jobDelete) {
		return
	}
	parent := it.parent.path()
	if err := q.c.delete(it); err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	if byMethod {
		q.w.WriteHeader(http.StatusNoContent)
		return
	}
	q.redirect(parent)
}

func (q *request) consoleText(b *build) {
	text, _, _, err := b.console.read(0)
	if err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	q.w.Header().Set("Content-Type", "text/plain;charset=utf-8")
	_, _ = q.w.Write(text) // into memory
}

func (q *request) progressiveText(b *build) {
	from, err := strconv.ParseInt(q.r.Form.Get("start"), 10, 64)
	if err != nil {
		from = 0
	}
	text, next, more, err := b.console.read(from)
	if err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	q.w.Header().Set("Content-Type", "text/plain;charset=utf-8")
	q.w.Header().Set("X-Text-Size", strconv.FormatInt(next, 10))
	if more {
		q.w.Header().Set("X-More-Data", "true")
	}
	_, _ = q.w.Write(text) // into memory
}

// stopBuild answers 302 whether there was anything to stop or not.
// A Pipeline is interrupted by stop and term, and killed by kill.
func (q *request) stopBuild(b *build, action string) {
	if !q.post() || !q.allowed(jobCancel) {
		return
	}
	why := errStopped{q.who.name}
	switch {
	case b.run != nil && action != "kill":
		b.interrupt(&Interrupt{Result: Aborted, Cause: why.Error(), Forced: action == "term"})
	case b.run != nil:
		fmt.Fprintf(b.console, "%v\n", errKilled)
		b.stop(errKilled)
	default:
		b.stop(why)
	}
	q.redirect(b.path())
}

func (q *request) submitDescription(b *build) {
	if !q.post() || !q.allowed(runUpdate) {
		return
	}
	b.Description = q.r.Form.Get("description")
	q.c.saveBuild(b)
	q.redirect(b.path())
}

// configSubmit needs both keys in its json.
func (q *request) configSubmit(b *build) {
	if !q.post() || !q.allowed(runUpdate) {
		return
	}
	var form struct{ DisplayName, Description *string }
	if q.r.Form.Get("json") == "" {
		q.failure("This page expects a form submission")
		return
	}
	err := json.Unmarshal([]byte(q.r.Form.Get("json")), &form)
	if err == nil && (form.DisplayName == nil || form.Description == nil) {
		err = errors.New("net.sf.json.JSONException: displayName and description are required")
	}
	if err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	b.DisplayName, b.Description = *form.DisplayName, *form.Description
	q.c.saveBuild(b)
	q.redirect(b.path())
}

func (q *request) toggleLogKeep(b *build) {
	if !q.post() || !q.allowed(runUpdate) {
		return
	}
	b.KeepLog = !b.KeepLog
	q.c.saveBuild(b)
	q.redirect(b.path())
}

func (q *request) deleteBuild(b *build) {
	if !q.post() || !q.allowed(runDelete) {
		return
	}
	switch {
	case b.KeepLog:
		q.failure("Build is marked to be kept forever")
		return
	case b.inProgress():
		q.failure("Build is still in progress")
		return
	}
	delete(b.job.builds, b.Number)
	b.job.order = slices.DeleteFunc(b.job.order, func(n int64) bool { return n == b.Number })
	if err := os.RemoveAll(b.dir()); err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	q.redirect(b.job.path())
}
