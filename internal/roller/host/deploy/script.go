package deploy

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"railyard/internal/roller"
)

//go:embed observe.sh
var observeScript string

//go:embed start.sh
var startScript string

//go:embed switch.sh
var switchScript string

// Codes of switch.sh.
const (
	codeDone    = 0
	codeMissing = 10
	codeLocked  = 11
	codeFailed  = 12
)

// withoutDeadline is what a switch may take of a caller that sets no limit.
const withoutDeadline = 5 * time.Minute

// need is an archive that the machine does not have.
type need struct {
	app     string
	digest  string
	damaged bool // it was there, with other bytes
}

// result is what a switch came to.
type result struct {
	missing []need
}

// order has the machine switch, or say what it needs first.
func (h *Host) order(ctx context.Context, m roller.Machine, orders []order) (result, error) {
	limit := seconds(TimeLeft(ctx))
	argv := []string{"/bin/sh", "-c", startScript, "railyard", switchScript, m.Server.Dir, rand.Text(), limit, limit}
	for _, o := range orders {
		argv = append(argv, o.args()...)
	}
	out, err := h.transport.Run(ctx, m, argv...)
	if err != nil {
		return result{}, err
	}
	step, said := lastStep(out.Stdout)
	switch out.Code {
	case codeDone:
		if step == "finished" {
			return result{}, nil
		}
	case codeMissing:
		if missing := parseMissing(said); len(missing) > 0 {
			return result{missing: missing}, nil
		}
	case codeLocked:
		return result{}, fmt.Errorf("lock: an earlier switch has been running there for more than %s s; see what it waits for: a restart command that hangs?", limit)
	case codeFailed:
		return result{}, fmt.Errorf("%s: %s", step, excerpt(said))
	}
	return result{}, fmt.Errorf("%s: the command ended with code %d: %s", step, out.Code, excerpt(out.Stderr+said))
}

// TimeLeft is how long the machine may wait for one thing: a little less than ctx lasts, so that it still gets to say
// what it waited for.
func TimeLeft(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return withoutDeadline
	}
	left := time.Until(deadline)
	left -= max(left/10, min(time.Second, left/2))
	return max(left, 10*time.Millisecond)
}

// seconds writes a duration for a command, in whole seconds where that is no loss, since not every `timeout` knows fractions.
func seconds(d time.Duration) string {
	if d >= 5*time.Second {
		return strconv.Itoa(int(d / time.Second))
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 2, 64)
}

// lastStep returns the last step that the script began, and what was said since.
func lastStep(stdout string) (step, said string) {
	step = "start"
	for line := range strings.Lines(stdout) {
		if name, ok := strings.CutPrefix(line, "step "); ok {
			step, said = strings.TrimSpace(name), ""
			continue
		}
		said += line
	}
	return step, said
}

// parseMissing reads lines "missing APP HEX" and "damaged APP HEX".
func parseMissing(said string) []need {
	var missing []need
	for line := range strings.Lines(said) {
		fields := strings.Fields(line)
		if len(fields) == 3 && slices.Contains([]string{"missing", "damaged"}, fields[0]) {
			missing = append(missing, need{app: fields[1], digest: "sha256:" + fields[2], damaged: fields[0] == "damaged"})
		}
	}
	return missing
}

// excerpt makes one line of what a command said, its end rather than its beginning.
func excerpt(text string) string {
	const limit = 600
	text = strings.Join(strings.FieldsFunc(strings.TrimSpace(text), func(r rune) bool { return r == '\n' }), "; ")
	if text == "" {
		return "it said nothing; is the disk full?"
	}
	if len(text) > limit {
		text = "…" + strings.ToValidUTF8(text[len(text)-limit:], "")
	}
	return text
}
