package pages

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"railyard/server/api"
)

// View is what one page shows.
type View interface {
	frame() Frame
	template() string
}

// Frame is what every page has.
type Frame struct {
	Lang   Lang
	Person string    // who is signed in: "li.wei"; "" = nobody
	Now    time.Time // when the page was drawn
	Path   string    // "/coaches/hotel-api-7.2"
}

func (f Frame) frame() Frame { return f }

// Langs are the languages a page offers.
func (f Frame) Langs() []Lang { return Langs() }

// Yard is the page of everything.
type Yard struct {
	Frame
	Environments []Environment
	Coaches      []Coach // on their way
	Trains       []api.Train
	Recent       []Coach // those that ended last
	Events       []api.Event
}

func (Yard) template() string { return "yard" }

// CoachPage is the page of one Coach.
type CoachPage struct {
	Frame
	Coach  Coach
	People []api.EnteredVerdict // what people said of it, oldest first
	Events []api.Event
}

func (CoachPage) template() string { return "coach" }

// Login asks for a token.
type Login struct {
	Frame
	Next    string // where to go then: "/coaches/hotel-api-7.2"
	Problem string // key of what went wrong the last time: "login.wrong"; "" = nothing
}

func (Login) template() string { return "login" }

// Trouble says that there is no page to show.
type Trouble struct {
	Frame
	Key     string // "trouble.not_found"
	Request string // the id to look for in the log
}

func (Trouble) template() string { return "trouble" }

// Environment is one environment with its sites.
type Environment struct {
	Name       string
	Production bool
	Sites      []Site
}

// Site is a pool's servers, with the roll that works on it.
type Site struct {
	api.Site
	Servers []Server
	Rolling *api.Roll // nil = none
}

// differencesShown is how many differences of a site are seen at once; the others are folded away.
const differencesShown = 4

// FirstDifferences are those that are seen at once.
func (s Site) FirstDifferences() []api.Difference {
	return s.differences()[:min(differencesShown, len(s.differences()))]
}

// OtherDifferences are the others.
func (s Site) OtherDifferences() []api.Difference { return s.differences()[len(s.FirstDifferences()):] }

// Mendable reports whether a catch-up roll could do something about any of them.
func (s Site) Mendable() bool {
	return slices.ContainsFunc(s.differences(), func(d api.Difference) bool { return d.Mendable })
}

func (s Site) differences() []api.Difference {
	if s.Differences == nil {
		return nil
	}
	return *s.Differences
}

// Server is one server of a site.
type Server struct {
	api.Server
	Step string // what the roll does on it now: "switch"; "" = nothing
	Note string // the roll's note on it
}

// Share is the server's weight in percent where that says something: it takes traffic, but not all of its share.
func (s Server) Share() int {
	if s.Weight == nil || s.Rotation != api.In || *s.Weight == 100 {
		return 0
	}
	return *s.Weight
}

// Look names what the server looks like, so that a change is noticed.
func (s Server) Look() string {
	look := string(s.Rotation)
	if s.Weight != nil {
		look += " " + strconv.Itoa(*s.Weight)
	}
	if s.Version != nil {
		look += " " + *s.Version
	}
	return look
}

// Coach is a Coach with its way laid out.
type Coach struct {
	api.Coach
	Track []Step
	Rolls []Roll
}

// Step is one stage on a Coach's way.
type Step struct {
	Name  string // "FAT"
	State string // "done", "now", "failed", "ahead"
	Took  string // "1m 12s"; "" = has not begun
}

// Roll is a roll with its servers counted.
type Roll struct {
	api.Roll
	Settled int // servers on the goal
	Of      int // servers of the roll
}

// NewCoach lays a Coach's way out over the environments in their order.
func NewCoach(c api.Coach, environments []string, now time.Time) Coach {
	out := Coach{Coach: c, Track: track(c, environments, now)}
	for _, r := range c.Rolls {
		out.Rolls = append(out.Rolls, newRoll(r))
	}
	slices.Reverse(out.Rolls) // what happens now comes first
	return out
}

func newRoll(r api.Roll) Roll {
	out := Roll{Roll: r, Of: len(r.Targets)}
	for _, t := range r.Targets {
		if t.State == "settled" {
			out.Settled++
		}
	}
	return out
}

// track is build → first environment → approval → the others, with what was really gone through.
func track(c api.Coach, environments []string, now time.Time) []Step {
	names := []string{"build"}
	for i, env := range environments {
		names = append(names, env)
		if i == 0 {
			names = append(names, "approval")
		}
	}
	last := -1
	for _, st := range c.Stages {
		if !slices.Contains(names, st.Name) {
			names = append(names, st.Name) // "return"
		}
	}
	steps := make([]Step, len(names))
	for i, name := range names {
		steps[i] = Step{Name: name, State: "ahead"}
		for _, st := range c.Stages {
			if st.Name != name {
				continue
			}
			last = i
			if st.End == nil {
				steps[i].State, steps[i].Took = "now", span(now.Sub(st.Start))
				continue
			}
			steps[i].State, steps[i].Took = "done", span(st.End.Sub(st.Start))
		}
	}
	if c.Ended && c.State != "released" && last >= 0 {
		steps[last].State = "failed"
	}
	return steps
}

// span words a duration for people: "850ms", "12s", "3m 05s", "2h 10m".
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	text := d.Round(time.Second).String() // "3m5s"
	if d >= time.Hour {
		text = strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return strings.NewReplacer("h", "h ", "m", "m ").Replace(text)
}

// NewEnvironments groups sites, which come in the order of the topology, and joins them with the rolls of the Coaches on their way, and
// those that carry none.
func NewEnvironments(sites []api.Site, production map[string]bool, coaches []Coach, loose []api.Roll) []Environment {
	rolls := map[string]*api.Roll{}
	for i := range loose {
		rolls[loose[i].Id] = &loose[i]
	}
	for i := range coaches {
		for j := range coaches[i].Rolls {
			rolls[coaches[i].Rolls[j].Id] = &coaches[i].Rolls[j].Roll
		}
	}
	var environments []Environment
	for _, s := range sites {
		if n := len(environments); n == 0 || environments[n-1].Name != s.Environment {
			environments = append(environments, Environment{Name: s.Environment, Production: production[s.Environment]})
		}
		site := Site{Site: s}
		if s.Roll != nil {
			site.Rolling = rolls[*s.Roll]
		}
		for _, server := range s.Servers {
			site.Servers = append(site.Servers, newServer(server, site.Rolling))
		}
		last := &environments[len(environments)-1]
		last.Sites = append(last.Sites, site)
	}
	// What visitors see comes first.
	slices.SortStableFunc(environments, func(a, b Environment) int {
		switch {
		case a.Production == b.Production:
			return 0
		case a.Production:
			return -1
		}
		return 1
	})
	return environments
}

func newServer(s api.Server, roll *api.Roll) Server {
	out := Server{Server: s}
	if roll == nil {
		return out
	}
	for _, t := range roll.Targets {
		if t.Server != s.Name {
			continue
		}
		if t.Note != nil {
			out.Note = *t.Note
		}
		switch {
		case t.State == "active" && t.Step != nil:
			out.Step = *t.Step
		case t.State == "failed" || t.State == "owed":
			out.Step = t.State
		}
	}
	return out
}
