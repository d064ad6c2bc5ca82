package pipeline

import (
	"fmt"

	"railyard/internal/rop"
)

// built follows the Coach's builds. All published: the first environment's gate opens. One failed: the Coach has failed.
func (d *decider) built() bool {
	published := 0
	for i := range d.Builds {
		b := &d.Builds[i]
		before := *b
		d.follow(b)
		if b.State != before.State {
			d.tell("build_"+string(b.State), string(before.State), string(b.State), buildWords(*b))
		}
		switch b.State {
		case rop.BuildPublished:
			published++
		case rop.BuildFailed:
			return d.end(rop.Failed, buildWords(*b))
		}
	}
	if published < len(d.Builds) {
		return false
	}
	return d.deliverTo(0, "every package is published")
}

func buildWords(b rop.Build) string {
	text := fmt.Sprintf("build of %s (%s)", b.App, b.Deployment)
	if b.Number > 0 {
		text += fmt.Sprintf(" is %s #%d", b.Job, b.Number)
	}
	if b.Package != "" {
		text += ", package " + b.Package
	}
	if b.Note != "" {
		text += ": " + b.Note
	}
	return text
}

// follow moves one build row: it is done once its package is published, whatever Jenkins says.
func (d *decider) follow(b *rop.Build) {
	d.locate(b)
	if p, ok := d.obs.Packages[b.Deployment]; ok {
		b.State, b.Package, b.Note = rop.BuildPublished, p.Digest, ""
		return
	}
	ended := d.attend(b)
	switch {
	case ended:
		b.State = rop.BuildFailed
		b.Note = fmt.Sprintf("Jenkins says %s and no package was published; see %s", b.Result, b.URL)
	case b.State == rop.BuildFailed && b.Note == forgotten:
		b.Note += "; push again to build anew"
	}
}
