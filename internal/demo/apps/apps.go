// Package apps holds the sources of the demo's applications, one per pool of the talk: jobws, public-api, hotel-api
// and hotel-app, with a database object and web resources. Each is a complete repository: a Go module without dependencies, its build and test scripts, its
// version. A release can be given a fault that only visitors meet, or one that only a functional check finds.
package apps

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/template"
)

// The applications' names.
const (
	HotelDB   = "hotel-db"   // the objects of the database
	HotelWeb  = "hotel-web"  // web resources: style, pictures
	JobWS     = "jobws"      // background jobs, no visitors
	PublicAPI = "public-api" // the list of hotels
	HotelAPI  = "hotel-api"  // hotels with prices; asks public-api
	HotelApp  = "hotel-app"  // the page; asks hotel-api
)

// about describes each application in its README.
var about = map[string]string{
	HotelDB:   "The objects of the hotel database.",
	HotelWeb:  "The web resources of the hotel pages.",
	JobWS:     "Works through background jobs; it has no visitors.",
	PublicAPI: "The public list of hotels.",
	HotelAPI:  "Hotels with prices. It asks public-api (`PUBLIC_API_URL`), and answers from memory when that does not answer in time.",
	HotelApp:  "The page visitors see. It asks hotel-api (`HOTEL_API_URL`), and says so when prices are old.",
}

// Names lists the applications in the order of their pools, those that others depend on first.
func Names() []string { return []string{HotelDB, HotelWeb, JobWS, PublicAPI, HotelAPI, HotelApp} }

// Options choose a version of an application.
type Options struct {
	Version string // "1.4.0", a semantic version
	Plan    string // content of .railyard/rop.yaml; the file is left out when empty
	// ErrorPercent is the share of visitors' requests to / and /hotels that are answered 500, evenly spread. Visitors'
	// requests carry X-Forwarded-For; checks that ask a server directly never fail.
	ErrorPercent int
	// BreakContract makes /api/contract answer {"status":"degraded"} instead of {"status":"ok","app":…}, with code 200.
	BreakContract bool
	// SickInProduction makes /healthz answer 500 from two seconds after the start on, on servers of production: the smoke test
	// finds it well, the monitor does not.
	SickInProduction bool
}

//go:embed source
var sources embed.FS

// templates are the files with fields of Options in them; in the others, braces belong to the application.
var templates = []string{"behaviour.go", "go.mod", "VERSION", "run", "build.sh", "README.md"}

// Source returns the files of an application's repository by path.
func Source(name string, opts Options) (map[string]string, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("source of application %q: it is none of %s", name, strings.Join(Names(), ", "))
	}
	if opts.Version == "" || opts.ErrorPercent < 0 || opts.ErrorPercent > 100 {
		return nil, fmt.Errorf("source of application %s: a version and an error percentage from 0 to 100 are needed, got %q and %d",
			name, opts.Version, opts.ErrorPercent)
	}
	files := map[string]string{}
	data := struct {
		Options
		Name, About string
	}{opts, name, about[name]}
	for _, dir := range []string{"common", name} {
		if err := collect(files, path.Join("source", dir), data); err != nil {
			return nil, fmt.Errorf("source of application %s: %w", name, err)
		}
	}
	if opts.Plan != "" {
		files[".railyard/rop.yaml"] = opts.Plan
	}
	return files, nil
}

// collect adds the files of one embedded directory. They are stored as .txt, so that this module does not compile them.
func collect(files map[string]string, dir string, data any) error {
	entries, err := fs.ReadDir(sources, dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		content, err := fs.ReadFile(sources, path.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(entry.Name(), ".txt")
		if name == "gitignore" {
			name = ".gitignore"
		}
		text := string(content)
		if slices.Contains(templates, name) {
			if text, err = fill(name, text, data); err != nil {
				return err
			}
		}
		files[name] = text
	}
	return nil
}

func fill(name, text string, data any) (string, error) {
	parsed, err := template.New(name).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	if err := parsed.Execute(&out, data); err != nil {
		return "", err
	}
	return out.String(), nil
}
