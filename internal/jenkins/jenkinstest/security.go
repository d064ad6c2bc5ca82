package jenkinstest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Permissions as people see them. The header X-Required-Permission has the
// names of the Java constants.
const (
	administer    = "Overall/Administer"
	overallRead   = "Overall/Read"
	jobDiscover   = "Job/Discover"
	jobRead       = "Job/Read"
	jobBuild      = "Job/Build"
	jobCancel     = "Job/Cancel"
	jobConfigure  = "Job/Configure"
	jobCreate     = "Job/Create"
	jobDelete     = "Job/Delete"
	jobExtRead    = "Job/ExtendedRead"
	runUpdate     = "Run/Update"
	viewCreate    = "View/Create"
	viewConfigure = "View/Configure"
	viewDelete    = "View/Delete"
	runDelete     = "Run/Delete"
)

// implied lists what a permission brings along.
var implied = map[string][]string{
	jobRead:      {jobDiscover},
	jobConfigure: {jobExtRead},
}

// javaName is the permission's name in headers: "hudson.model.Item.Build".
func javaName(permission string) string {
	kind, name, _ := strings.Cut(permission, "/")
	owner := map[string]string{"Overall": "Hudson", "Job": "Item", "Run": "Run", "View": "View"}[kind]
	return "hudson.model." + owner + "." + name
}

// security knows users and sessions. It dies with the process, as Jenkins'
// sessions do; so do the crumbs, which hang on a session.
type security struct {
	o          *Options
	cookieName string // "JSESSIONID.9f3a1c22"
	salt       []byte
	mu         sync.Mutex
	sessions   map[string]bool
}

func newSecurity(o *Options) *security {
	salt := make([]byte, 16)
	rand.Read(salt) // never fails, see crypto/rand
	return &security{
		o: o, cookieName: "JSESSIONID." + hex.EncodeToString(salt[:4]), salt: salt, sessions: map[string]bool{},
	}
}

// identity is who makes a request.
type identity struct {
	name     string // "anonymous"
	rights   []string
	viaToken bool
}

func (i identity) may(permission string) bool {
	for _, have := range i.rights {
		if have == permission || have == administer || slices.Contains(implied[have], permission) {
			return true
		}
	}
	return false
}

// authenticate returns false for bad credentials.
func (s *security) authenticate(r *http.Request) (identity, bool) {
	name, secret, given := r.BasicAuth()
	if !given {
		if r.Header.Get("Authorization") != "" {
			return identity{}, false
		}
		anonymous := identity{name: "anonymous"}
		if s.o.AnonymousRead {
			anonymous.rights = []string{overallRead, jobRead}
		}
		return anonymous, true
	}
	for _, u := range s.o.Users {
		if u.Name != name {
			continue
		}
		if u.Token != "" && equal(u.Token, secret) {
			return identity{u.Name, u.Permissions, true}, true
		}
		if u.Password != "" && equal(u.Password, secret) {
			return identity{u.Name, u.Permissions, false}, true
		}
	}
	return identity{}, false
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// session is the id of the request's session; "" when it has none that is known.
func (s *security) session(r *http.Request) string {
	cookie, err := r.Cookie(s.cookieName)
	if err != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.sessions[cookie.Value] {
		return ""
	}
	return cookie.Value
}

// openSession returns the request's session, or a new one set as a cookie.
func (s *security) openSession(w http.ResponseWriter, r *http.Request) string {
	if id := s.session(r); id != "" {
		return id
	}
	id := "node0" + strings.ToLower(rand.Text()) + ".node0"
	s.mu.Lock()
	s.sessions[id] = true
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: s.cookieName, Value: id, Path: s.o.ContextPath + "/", HttpOnly: true})
	return id
}

// crumb is bound to user, client address and session.
func (s *security) crumb(user, session string, r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	mac := hmac.New(sha256.New, s.salt)
	mac.Write([]byte(user + ";" + host + ";" + session))
	return hex.EncodeToString(mac.Sum(nil))
}

const crumbField = "Jenkins-Crumb"

// crumbValid checks the header, or the query or form field of the same name.
func (s *security) crumbValid(who identity, r *http.Request) bool {
	given := r.Header.Get(crumbField)
	if given == "" {
		given = r.FormValue(crumbField)
	}
	return given != "" && equal(given, s.crumb(who.name, s.session(r), r))
}
