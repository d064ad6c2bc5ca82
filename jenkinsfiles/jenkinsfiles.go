// Package jenkinsfiles holds what runs inside Jenkins: the Jenkinsfiles of
// Railyard's jobs, the shared library they stand on, and the jobs' definitions
// (config.xml). All of it is embedded, so that the service can write its jobs to
// any controller, and tests run what users run.
//
// A controller provides, besides the jobs: the library (Library, as the global
// library "railyard"), the global property RAILYARD_URL, and the service's token
// as the "Secret text" credential "railyard-token". RAILYARD_AGENT may name the
// label of agents that have git and the railyard command, RAILYARD_CREDENTIAL and
// RAILYARD_SUBMITTER another credential and another user than railyard.
package jenkinsfiles

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"text/template"
)

// LibraryName is what the Jenkinsfiles call the shared library.
const LibraryName = "railyard"

var (
	//go:embed library
	library embed.FS
	//go:embed config
	configs embed.FS
	//go:embed *.Jenkinsfile
	scripts embed.FS
	//go:embed freestyle/deliver.sh
	freestyle string
	//go:embed library/resources/railyard/build.sh
	build string
)

// Library is the shared library: vars/, src/ and resources/.
func Library() fs.FS {
	sub, err := fs.Sub(library, "library")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	return sub
}

// Deliver is the config.xml of the Pipeline that builds one commit of an app,
// publishes the package and follows its Coach, without an executor while it
// waits. It takes the string parameters RAILYARD_DEPLOYMENT, APP, REPO_URL, BRANCH
// and COMMIT, all of which Railyard gives. Builds of it may run at once.
func Deliver(app string) []byte {
	return write("pipeline.xml", job{
		Description: about("Builds one commit of " + app + ", publishes the package and follows its release. Started by Railyard"),
		Parameters:  deliverParameters, Script: script("deliver"),
	})
}

// DeliverFreestyle is the config.xml of a freestyle job that does the same, with
// an executor while it waits, for controllers without Pipeline. It knows the
// token as the environment variable RAILYARD_TOKEN, which a credentials binding of
// the controller provides.
func DeliverFreestyle(app string) []byte {
	_, rest, _ := strings.Cut(build, "\nset -eu\n")
	return write("freestyle.xml", job{
		Description: about("Builds one commit of " + app + ", publishes the package and follows its release. Started by Railyard"),
		Parameters:  deliverParameters, Script: strings.Replace(freestyle, "@BUILD@\n", strings.TrimLeft(rest, "\n"), 1),
	})
}

// Train is the config.xml of the Pipeline that follows a Train from its departure
// and carries its verdict, without an executor while it waits. It takes the string
// parameters RAILYARD_DEPLOYMENT and TRAIN, both of which Railyard gives. Builds of
// it may run at once.
func Train() []byte {
	return write("pipeline.xml", job{
		Description: about("Follows a Train from its departure and carries its verdict. Started by Railyard"),
		Parameters: []parameter{
			{Name: "RAILYARD_DEPLOYMENT", Description: "Names this build; Railyard makes it up."},
			{Name: "TRAIN", Description: "Train, such as hotel-line-3."},
		},
		Script: script("train"),
	})
}

// Buttons are the jobs by which people act on a Coach from Jenkins, by their names in the folder of buttons: Promote, Rollback,
// Brake and Resume. Their parameters are COACH, REASON, and for Rollback MODE.
func Buttons() map[string][]byte {
	out := map[string][]byte{}
	for name, b := range buttons {
		parameters := append([]parameter{{Name: "COACH", Description: "Coach, such as hotel-api-7.2."}}, b.more...)
		out[name] = write("pipeline.xml", job{
			Description: about(b.does + " Whoever starts it needs the right for it in Railyard. Made by Railyard"),
			Parameters:  append(parameters, parameter{Name: "REASON", Description: "Why; it is kept in the event log."}),
			Script:      script("button"),
		})
	}
	return out
}

var buttons = map[string]struct {
	does string
	more []parameter
}{
	"Promote": {does: "Passes the plan of a Coach that waits for approval; the author of the commit cannot."},
	"Rollback": {does: "Takes a Coach out of production, also after it was released.", more: []parameter{{
		Name: "MODE", Description: "regular: batch by batch and judged; emergency: as fast as the floor allows.", Choices: []string{"regular", "emergency"},
	}}},
	"Brake":  {does: "Stops what a Coach is rolling, where it is."},
	"Resume": {does: "Lets go on what a Coach has paused."},
}

// about ends a description with what people must know who would edit the job.
func about(what string) string {
	return what + "; written by it, so changes made here are overwritten."
}

// job is what the templates of config/ are filled with.
type job struct {
	Description string
	Parameters  []parameter
	Script      string
}

// parameter of a job: a string, or one of Choices, of which the first is the default.
type parameter struct {
	Name, Description string
	Choices           []string
}

var deliverParameters = []parameter{
	{Name: "RAILYARD_DEPLOYMENT", Description: "Names this build; Railyard makes it up."},
	{Name: "APP", Description: "Application, as the topology calls it."},
	{Name: "REPO_URL", Description: "Repository to clone."},
	{Name: "BRANCH", Description: "Release branch that was pushed."},
	{Name: "COMMIT", Description: "Commit to build, in full."},
}

func script(name string) string {
	text, err := scripts.ReadFile(name + ".Jenkinsfile")
	if err != nil {
		panic(err) // it is embedded above
	}
	return string(text)
}

var templates = template.Must(template.New("").
	Funcs(template.FuncMap{"xml": strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace}).
	ParseFS(configs, "config/*.xml"))

func write(name string, j job) []byte {
	var out strings.Builder
	if err := templates.ExecuteTemplate(&out, name, j); err != nil {
		panic(fmt.Errorf("fill %s: %w", name, err)) // the templates are embedded above, and tested
	}
	return []byte(out.String())
}
