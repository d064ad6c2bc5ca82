package jenkins

import (
	"errors"
	"fmt"
)

// Errors to ask for with errors.Is.
var (
	// ErrUnreachable: no answer, or one that says "not now" (503 while starting,
	// a proxy's 502 or 504). Try again later. An action may have been carried out.
	ErrUnreachable = errors.New("jenkins cannot be reached")
	// ErrNotFound: there is no such job, build or queue item, or the user may
	// not even know of it: Jenkins does not tell the two apart.
	ErrNotFound = errors.New("not found in jenkins")
	// ErrUnauthorized: user or API token are wrong.
	ErrUnauthorized = errors.New("jenkins refused the credentials")
	// ErrNotJenkins: the answer is a success but not Jenkins' JSON. The URL
	// leads somewhere else, or a proxy put a login or maintenance page in front.
	ErrNotJenkins = errors.New("the answer does not come from jenkins' API")
)

// IsRefusal tells whether Jenkins answered and will not do it however often it
// is asked, until somebody changes something there or in our configuration. An
// answer that does not come from Jenkins is none: it may pass.
func IsRefusal(err error) bool {
	var refused *RefusedError
	var permission *PermissionError
	return errors.As(err, &refused) && refused.Status < 500 || errors.As(err, &permission) ||
		errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrNotFound)
}

// PermissionError: the user is known but may not do this.
type PermissionError struct {
	User       string // "railyard"; "" when Jenkins does not say
	Permission string // "Job/Build"; "" when Jenkins does not say
	Object     string // "POST /job/deliver/buildWithParameters"
}

func (e *PermissionError) Error() string {
	user, permission := e.User, e.Permission
	if user == "" {
		user = "the user"
	}
	if permission == "" {
		return fmt.Sprintf("%s: jenkins answered 403: give %s the permission for it in Jenkins (Manage Jenkins › Security, or the folder's permissions)", e.Object, user)
	}
	return fmt.Sprintf("%s: %s lacks the permission %s: grant it in Jenkins (Manage Jenkins › Security, or the folder's permissions)", e.Object, user, permission)
}

// RefusedError: Jenkins understood and said no. Repeating will not help until
// somebody changes something in Jenkins.
type RefusedError struct {
	Status int    // 409
	Object string // "POST /job/deliver/buildWithParameters"
	Reason string // Jenkins' own words, from X-Error or the page
	Hint   string // what to change
}

func (e *RefusedError) Error() string {
	text := e.Object
	if e.Status >= 300 { // else what it answered is what refuses
		text += fmt.Sprintf(": jenkins answered %d", e.Status)
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}
