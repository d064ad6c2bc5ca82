package jenkinstest

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"railyard/internal/jenkins/jenkinstest/export"
)

const maxRequest = 16 << 20 // bytes of a request's body

// request is one HTTP request on its way through the stand-in.
type request struct {
	w    http.ResponseWriter
	r    *http.Request
	o    *Options
	sec  *security
	c    *controller
	who  identity
	base string   // address the request came to, with context path and slash
	rest []string // segments of the path that are not consumed yet
	body []byte
	s    *Server
}

// reply collects an answer, so that no lock is held while it is sent.
type reply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *reply) Header() http.Header         { return a.header }
func (a *reply) WriteHeader(status int)      { a.status = status }
func (a *reply) Write(p []byte) (int, error) { return a.body.Write(p) }

// serve reads the whole request, answers it and sends the answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	phase, ctl, sec := s.phase, s.ctl, s.security
	s.mu.Unlock()
	answer := &reply{header: w.Header(), status: http.StatusOK}
	q := &request{w: answer, r: r, o: &s.o, sec: sec, c: ctl, s: s}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	switch {
	case err != nil:
		q.plainPage(http.StatusRequestEntityTooLarge, "The request is too large or broke off")
	default:
		q.body = body
		q.enter(phase)
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body.Bytes()) // the client may have gone
}

// enter applies what every request meets: phase, path, credentials, crumb.
func (q *request) enter(phase Phase) {
	s, w, r, sec := q.s, q.w, q.r, q.sec
	q.base = requestBase(r) + s.o.ContextPath + "/"
	r.Body = io.NopCloser(bytes.NewReader(q.body))
	// Fields of a form are read here; a body that is no form leaves them empty,
	// as it does in Jenkins.
	if err := r.ParseMultipartForm(maxRequest); err != nil && r.Form == nil {
		r.Form = r.URL.Query()
	}
	switch phase {
	case PhaseRestarting:
		q.plainPage(http.StatusServiceUnavailable, "Please wait while Jenkins is restarting")
		return
	case PhaseStarting:
		q.plainPage(http.StatusServiceUnavailable, "Please wait while Jenkins is getting ready to work")
		return
	}
	w.Header().Set("X-Jenkins", s.o.Version)
	w.Header().Set("X-Jenkins-Session", strings.TrimPrefix(sec.cookieName, "JSESSIONID."))
	segments, status := splitPath(r.URL.EscapedPath(), s.o.ContextPath)
	if status != 0 {
		q.plainPage(status, http.StatusText(status))
		return
	}
	var ok bool
	if q.who, ok = sec.authenticate(r); !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="Jenkins"`)
		q.plainPage(http.StatusUnauthorized, "Invalid password/token for user")
		return
	}
	webhook := len(segments) > 0 && segments[0] == "generic-webhook-trigger"
	if r.Method == http.MethodPost && !webhook && !q.who.viaToken && !s.o.DisableCrumbs && !sec.crumbValid(q.who, r) {
		q.plainPage(http.StatusForbidden, "No valid crumb was included in the request")
		return
	}
	q.rest = segments
	q.c.mu.Lock()
	defer q.c.mu.Unlock()
	q.route()
}

func requestBase(r *http.Request) string {
	scheme, host := "http", r.Host
	if p := r.Header.Get("X-Forwarded-Proto"); p != "" {
		scheme = p
	}
	if h := r.Header.Get("X-Forwarded-Host"); h != "" {
		host = h
	}
	return scheme + "://" + host
}

// splitPath cuts a path into decoded segments, without empty ones; status is
// that of the answer when the path cannot be served.
func splitPath(escaped, contextPath string) (segments []string, status int) {
	if strings.Contains(escaped, ";") {
		return nil, http.StatusBadRequest
	}
	rest, ok := strings.CutPrefix(escaped, contextPath)
	if !ok || rest != "" && rest[0] != '/' {
		return nil, http.StatusNotFound
	}
	for _, s := range strings.Split(rest, "/") {
		if s == "" {
			continue
		}
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return nil, http.StatusBadRequest
		}
		segments = append(segments, decoded)
	}
	return segments, 0
}

func escapeSegment(s string) string { return url.PathEscape(s) }

// next takes the next segment of the path; "" at its end.
func (q *request) next() string {
	if len(q.rest) == 0 {
		return ""
	}
	s := q.rest[0]
	q.rest = q.rest[1:]
	return s
}

// urlBase is what URLs in JSON begin with: the configured root URL, else the
// address of the request.
func (q *request) urlBase() string {
	if q.c.rootURL != "" {
		return q.c.rootURL
	}
	return q.base
}

var plainTemplate = template.Must(template.New("plain").Parse(
	`<html><head><title>{{.}}</title></head><body style="font-family:sans-serif"><h1>{{.}}</h1></body></html>` + "\n"))

// plainPage answers with a page that shows one sentence.
func (q *request) plainPage(status int, text string) {
	var b bytes.Buffer
	if err := plainTemplate.Execute(&b, text); err != nil {
		status = http.StatusInternalServerError
	}
	q.html(status, b.Bytes())
}

func (q *request) html(status int, page []byte) {
	q.w.Header().Set("Content-Type", "text/html;charset=utf-8")
	q.w.WriteHeader(status)
	_, _ = q.w.Write(page) // into memory
}

// oops is Jenkins' page for 404 and 500: HTML, whoever asks.
func (q *request) oops(status int, what string) {
	q.plainPage(status, fmt.Sprintf("Oops! A problem occurred while processing the request. %s", what))
}

func (q *request) notFound() { q.oops(http.StatusNotFound, "Not Found") }

// failure is a mistake of the user: 400 with the message in X-Error.
func (q *request) failure(message string) {
	q.w.Header().Set("X-Error", message)
	q.plainPage(http.StatusBadRequest, "Error: "+message)
}

// allowed checks a permission and answers 403 when it is missing.
func (q *request) allowed(permission string) bool {
	if q.who.may(permission) {
		return true
	}
	h := q.w.Header()
	h.Set("X-You-Are-Authenticated-As", q.who.name)
	h.Set("X-Required-Permission", javaName(permission))
	h.Set("X-Permission-Implied-By", javaName(administer))
	q.plainPage(http.StatusForbidden, fmt.Sprintf("%s is missing the %s permission", q.who.name, permission))
	return false
}

// post lets only POST through.
func (q *request) post() bool {
	if q.r.Method == http.MethodPost {
		return true
	}
	q.plainPage(http.StatusMethodNotAllowed, "This URL requires POST")
	return false
}

// redirect answers an action: 302 with a location that may be relative.
func (q *request) redirect(path string) {
	if referer := q.r.Referer(); referer != "" && strings.HasSuffix(q.r.URL.Path, "/stop") {
		path = referer
	} else {
		path = q.o.ContextPath + "/" + path
	}
	q.w.Header().Set("Location", path)
	q.w.WriteHeader(http.StatusFound)
}

// json answers api/json of an object.
func (q *request) json(o *export.Object) {
	query := q.r.URL.Query()
	depth := 0
	if d := query.Get("depth"); d != "" {
		var err error
		if depth, err = strconv.Atoi(d); err != nil {
			q.oops(http.StatusInternalServerError, err.Error())
			return
		}
	}
	pruner := export.ByDepth(depth)
	if query.Has("tree") {
		var err error
		if pruner, err = export.Tree(query.Get("tree")); err != nil {
			q.oops(http.StatusInternalServerError, err.Error())
			return
		}
	}
	text, err := export.JSON(o, pruner, query.Get("pretty") == "true")
	if err != nil {
		q.oops(http.StatusInternalServerError, err.Error())
		return
	}
	q.w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_, _ = q.w.Write(text) // into memory
}

// isAPI tells whether the path goes on with api/json; what follows is ignored.
func (q *request) isAPI() bool {
	return len(q.rest) >= 2 && q.rest[0] == "api" && q.rest[1] == "json"
}
