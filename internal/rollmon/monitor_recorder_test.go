package rollmon_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// shelf keeps looks as the database does.
type shelf struct {
	mu   sync.Mutex
	kept []rollmon.Look
	down bool
}

func (s *shelf) SaveLook(_ context.Context, l rollmon.Look) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errors.New("away")
	}
	for i, k := range s.kept {
		if !l.Turned && !k.Turned && k.Question.Roll == l.Question.Roll && k.Verdict.Batch == l.Verdict.Batch {
			s.kept = append(s.kept[:i], s.kept[i+1:]...)
			break
		}
	}
	s.kept = append(s.kept, l)
	return nil
}

func (s *shelf) breakDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// words lists what is kept: "r-1 batch 2 hard at 7 turned".
func (s *shelf) words() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, l := range s.kept {
		w := fmt.Sprintf("%d %s %s", l.Verdict.Batch, l.Verdict.Outcome, l.Verdict.Reason)
		if l.Turned {
			w += " turned"
		}
		all = append(all, w)
	}
	return strings.Join(all, ", ")
}

func TestWhichLooksAreKept(t *testing.T) {
	for _, c := range []struct {
		rule  string
		looks string // "batch outcome", one each half second; "." is a pause of 6 s, "!" breaks the database, "?" mends it
		want  string
	}{
		{"a batch that passes: its first and its last", "1pass 1pass 1pass", "1 pass 0 turned, 1 pass 2"},
		{"each turn", "1pass 1pass 1hard 1hard", "1 pass 0 turned, 1 hard 2 turned, 1 hard 3"},
		{"the last of each batch", "1pass 1pass 2pass 2pass", "1 pass 0 turned, 1 pass 1, 2 pass 2 turned, 2 pass 3"},
		{"what goes on for long is kept once", "1pass . 1pass . 1pass . 1pass", "1 pass 0 turned, 1 pass 6"},
		{"what could not be kept is tried again", "! 1pass 1pass ? .", "1 pass 2 turned"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shelf{}
				r := rollmon.NewRecorder(s, quiet())
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() { _ = r.Run(ctx); close(ended) }()
				for n, word := range strings.Fields(c.looks) {
					switch word {
					case ".":
						time.Sleep(6 * time.Second)
					case "!", "?":
						s.breakDown(word == "!")
					default:
						l := rollmon.Look{Verdict: verdict.Verdict{Batch: int(word[0] - '0'), Outcome: verdict.Outcome(word[1:]), Reason: fmt.Sprint(n)}}
						l.Question.Roll = "r-1"
						r.Note(l)
					}
					time.Sleep(500 * time.Millisecond)
				}
				cancel()
				<-ended
				if got := s.words(); got != c.want {
					t.Errorf("kept %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

func TestADatabaseThatHangsDelaysNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rollmon.NewRecorder(hanging{}, quiet())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { _ = r.Run(ctx); close(ended) }()
		start := time.Now()
		for range 10_000 {
			r.Note(rollmon.Look{})
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("noting took %s", took)
		}
		cancel()
		stopping := time.Now()
		<-ended
		if took := time.Since(stopping); took > 5*time.Second {
			t.Errorf("stopping took %s", took)
		}
	})
}

func quiet() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// hanging takes a look and does not answer.
type hanging struct{}

func (hanging) SaveLook(ctx context.Context, _ rollmon.Look) error {
	<-ctx.Done()
	return context.Cause(ctx)
}
