package pages

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"railyard/server/api"
)

// PlanPage is the page of a Train, or of what a Coach would do alone: who travels, the graph of waves, how it comes back, and what
// keeps it from departing.
type PlanPage struct {
	Frame
	Train  *api.Train // nil = a Coach alone
	Plan   api.Preview
	Graphs []Graph
	Events []api.Event
}

func (PlanPage) template() string { return "plan" }

// Name is what the page is about: "hotel-line-3".
func (p PlanPage) Name() string {
	_, name, _ := strings.Cut(p.Plan.Object, "/")
	return name
}

// DepsPage shows who requires which version of what.
type DepsPage struct {
	Frame
	Environment  string
	Dependencies []api.Dependency
}

func (DepsPage) template() string { return "deps" }

// Graph is a child Train in one environment: a column for each wave, a box for each pool, a line from each pool to those that wait
// for it. It is drawn as SVG with plain attributes, because the pages' policy forbids styles in the text.
type Graph struct {
	Environment   string
	Child         string
	Lasts         string // "3m 05s"
	Width, Height int
	Waves         []Column
	Nodes         []Node
	Edges         []Edge
	Back          []string // what a rollback does, step by step: "hotel-web → 1.0.0"
}

// Column is the head of one wave.
type Column struct {
	X, Number int
	Lasts     string
}

// Node is a pool of a wave.
type Node struct {
	api.LegStop
	ID    string // of the element
	X, Y  int
	Stage string // of its roll, "" = none yet
	Lasts string
	Batch string // "1 + 2 + 2"
}

// Edge leads from a pool to one that waits for it.
type Edge struct {
	Path string
	Why  string
}

// The measures of a graph, in SVG units.
const (
	boxWidth, boxHeight = 200, 76
	gapX, gapY          = 56, 18
	headHeight          = 26
)

// NewGraphs draws every child Train of every environment, production first; rolls say how far its pools are.
func NewGraphs(p api.Preview, rolls []api.TrainRoll) (graphs []Graph) {
	for _, leg := range slices.Backward(p.Environments) {
		for _, child := range leg.Children {
			if len(child.Waves) > 0 {
				graphs = append(graphs, newGraph(leg.Environment, child, rolls))
			}
		}
	}
	return graphs
}

func newGraph(environment string, child api.LegChild, rolls []api.TrainRoll) Graph {
	g := Graph{Environment: environment, Child: child.Name, Lasts: lasts(child.Seconds), Back: steps(child.Back)}
	at := map[string]Node{}
	for i, w := range child.Waves {
		x := i * (boxWidth + gapX)
		g.Waves = append(g.Waves, Column{X: x, Number: i + 1, Lasts: lasts(w.Seconds)})
		g.Width = x + boxWidth
		for j, s := range w.Stops {
			n := Node{LegStop: s, ID: "stop-" + environment + "-" + s.Pool, X: x, Y: headHeight + j*(boxHeight+gapY), Lasts: lasts(s.Seconds),
				Stage: stageOn(rolls, environment, s.Pool), Batch: joined(s.Batches)}
			g.Height = max(g.Height, n.Y+boxHeight+2)
			g.Nodes = append(g.Nodes, n)
			at[s.Pool] = n
		}
	}
	for _, n := range g.Nodes {
		for _, b := range n.Behind {
			from, ok := at[b.Pool]
			if !ok {
				continue
			}
			x1, y1, x2, y2 := from.X+boxWidth, from.Y+boxHeight/2, n.X, n.Y+boxHeight/2
			bend := (x2 - x1) / 2
			g.Edges = append(g.Edges, Edge{Why: b.Why, Path: fmt.Sprintf("M%d %d C%d %d %d %d %d %d", x1, y1, x1+bend, y1, x2-bend, y2, x2, y2)})
		}
	}
	return g
}

// stageOn is how the last roll of a pool in an environment stands; that of the way back once it has begun.
func stageOn(rolls []api.TrainRoll, environment, pool string) (stage string) {
	for _, r := range rolls {
		if r.Environment != environment || r.Pool != pool {
			continue
		}
		stage = r.Stage
		if r.Back {
			stage = "rolling_back"
			if r.Stage == "done" {
				stage = "rolled_back"
			}
		}
	}
	return stage
}

func lasts(seconds int) string { return span(time.Duration(seconds) * time.Second) }

func joined(sizes []int) string {
	texts := make([]string, len(sizes))
	for i, n := range sizes {
		texts[i] = fmt.Sprint(n)
	}
	return strings.Join(texts, " + ")
}

func steps(back [][]api.Return) (texts []string) {
	for _, step := range back {
		var pools []string
		for _, r := range step {
			to := r.To
			if to == "" {
				to = "?"
			}
			pools = append(pools, r.Pool+" → "+to)
		}
		texts = append(texts, strings.Join(pools, ", "))
	}
	return texts
}
