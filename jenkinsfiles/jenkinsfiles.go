// Package jenkinsfiles holds what runs inside Jenkins: the definitions of the
// jobs that Railyard starts, and the scripts in them. The files are embedded, so
// that the service can write its jobs to any controller.
package jenkinsfiles

import (
	_ "embed"
	"strings"
)

//go:embed jobs/deliver.xml
var deliverXML string

//go:embed deliver.sh
var deliverScript string

// xmlText escapes text for an XML element.
var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// DeliverJob is the config.xml of the freestyle job that builds one commit,
// publishes the package and follows its release. It takes the string parameters
// RAILYARD_DEPLOYMENT, APP, REPO_URL, BRANCH and COMMIT.
//
// The controller provides RAILYARD_URL and RAILYARD_TOKEN to every build of it:
// the first as a global property, the second as a secret, so that the console
// shows **** in its place.
func DeliverJob() []byte {
	return []byte(strings.Replace(deliverXML, "@SCRIPT@", xmlText.Replace(deliverScript), 1))
}
