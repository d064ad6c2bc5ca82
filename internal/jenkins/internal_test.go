package jenkins

import (
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	cases := []struct{ name, job, path string }{
		{"a job at the top", "deliver", "/job/deliver"},
		{"nested folders", "a/b/c", "/job/a/job/b/job/c"},
		{"spaces and other letters", "größe/hotel api", "/job/gr%C3%B6%C3%9Fe/job/hotel%20api"},
		{"a branch of a multibranch job keeps its encoded slash", "repo/feature%2Fx", "/job/repo/job/feature%252Fx"},
		{"characters that would end the path", "a?b#c", "/job/a%3Fb%23c"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := jobPath(c.job); got != c.path {
				t.Errorf("jobPath = %s, want %s", got, c.path)
			}
			for _, base := range []string{"http://ci.example.org", "https://other.example.org/jenkins/context"} {
				if got := jobKeyOf(base + c.path + "/"); got != jobKey(c.job) {
					t.Errorf("jobKeyOf at %s = %s, want %s", base, got, jobKey(c.job))
				}
			}
		})
	}
}

func TestQueueIDOf(t *testing.T) {
	for location, want := range map[string]int64{
		"https://ci.example.org/jenkins/queue/item/31/": 31, "/queue/item/7": 7,
		"": 0, "https://ci.example.org/job/j/": 0, "/queue/item/x/": 0, "/job/j/31/": 0, "/queue/item/-1/": 0,
	} {
		id, ok := queueIDOf(location)
		if ok != (want > 0) || ok && id != want {
			t.Errorf("%q = %d, %v, want %d", location, id, ok, want)
		}
	}
}

func TestAPanicOfTheLibraryIsAnError(t *testing.T) {
	err := guard(func() error {
		var nothing *struct{ status int }
		nothing.status++ // what SetCrumb does when Jenkins cannot be reached
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "gojenkins panicked") {
		t.Errorf("error = %v", err)
	}
}

func TestALongAnswerIsCutAndSaysSo(t *testing.T) {
	text, leftOut, err := readAll(strings.NewReader(strings.Repeat("x", 100)), 30)
	if len(text) != 30 || leftOut != 70 || err != nil {
		t.Errorf("%d bytes, %d left out, %v", len(text), leftOut, err)
	}
}
