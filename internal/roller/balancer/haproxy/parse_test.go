package haproxy

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"railyard/internal/fleet"
)

// listen starts a socket that answers every line with the same text and closes; "" keeps silent.
func listen(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(shortDir(t), "s"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { close(done); l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				line := make([]byte, 4096)
				if _, err := conn.Read(line); err != nil {
					return
				}
				if answer == "" {
					<-done
					return
				}
				_, _ = conn.Write([]byte(answer))
			}()
		}
	}()
	return "unix:" + l.Addr().String()
}

// recorded is what HAProxy 2.6.12 answered to Observe.
func recorded(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/observe-2.6.12.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnAnswerThatIsNotHAProxysIsAnError(t *testing.T) {
	good := recorded(t)
	tests := []struct{ name, answer, want string }{
		{"a web page", "HTTP/1.1 400 Bad Request\r\n\r\n<html><h1>Bad Request</h1></html>\n\n", "is this HAProxy's stats socket?"},
		{"zeroes", strings.Repeat("\x00", 1000), "is this HAProxy's stats socket?"},
		{"half of the first table", good[:200], "`show servers state`: the answer ends early; ask again"},
		{"only the first table", good[:strings.Index(good, "\n\n")+2], "this is not an answer to `show stat`"},
		{"the second table ends within a line", good[:len(good)-10], "`show stat`: the answer ends early; ask again"},
		{"the second table ends within a header", good[:strings.Index(good, "pxname")+40], "`show stat`: the answer ends early; ask again"},
		{"a line is missing", good[:strings.LastIndex(good[:len(good)-2], "\n")] + "\n\n", "is in `show servers state` but not in `show stat`"},
		{"a line is short", strings.Replace(good, ",DOWN,", ",", 1), "wrong number of fields"},
		{"a quote is not closed", strings.Replace(good, ",DOWN,", ",\"DOWN,", 1), "`show stat`"},
		{"a weight is no number", strings.Replace(good, " 100 100 ", " many 100 ", 1), "column srv_uweight is \"many\": expected a number"},
		{"sessions are no number", strings.Replace(good, "PROD_hotel,s1,0,0,0,", "PROD_hotel,s1,0,0,,", 1), "column scur is \"\": expected a number"},
		{"a column is gone", strings.Replace(good, "srv_admin_state", "srv_gone", 1), "there is no column srv_admin_state"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := New(fleet.Balancer{Address: listen(t, tt.answer), Backend: "PROD_hotel"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.Observe(t.Context())
			if err == nil {
				t.Fatalf("no error, but %v", got)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want %q in it", err, tt.want)
			}
			if err := b.SetWeight(t.Context(), "s1", 0); err == nil {
				t.Error("SetWeight believed it")
			}
		})
	}
}

func TestColumnsAreReadByNameNotByPlace(t *testing.T) {
	answer := "1\n# be_id srv_admin_state srv_op_state srv_iweight srv_uweight srv_name be_name\n" +
		"3 8 2 100 25 s1 b\n3 0 2 100 7 s1 other\n\n" +
		"# pxname,status,new,svname,scur,qcur\nb,\"UP, or so\",,s1,2,3\n\n"
	b, err := New(fleet.Balancer{Address: listen(t, answer), Backend: "b"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m := got["s1"]; m.Weight != 25 || !m.Foreign || m.Sessions != 5 || m.Detail != "UP, or so" || len(got) != 1 {
		t.Errorf("got %+v, want s1 at weight 25, foreign, 5 sessions, running and queued", got)
	}
}

// No cut and no changed byte of an answer makes the parser panic, and no cut answer is believed.
func TestNoDamageIsAPanicAndNoCutIsBelieved(t *testing.T) {
	good := recorded(t)
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(good)-1).Draw(t, "at")
		if _, rest, err := parseStates(good[:at], "PROD_hotel"); err == nil {
			if _, err := parseStats(rest, "PROD_hotel"); err == nil {
				t.Fatalf("an answer cut at %d was believed", at)
			}
		}
		damaged := good[:at] + string(rapid.Byte().Draw(t, "byte")) + good[at+1:]
		if _, rest, err := parseStates(damaged, "PROD_hotel"); err == nil {
			_, _ = parseStats(rest, "PROD_hotel")
		}
	})
}

func TestAnAddressThatIsNoSocketIsRefusedWithAnExample(t *testing.T) {
	for _, address := range []string{"", "/run/haproxy.sock", "unix:", "tcp:9999", "tcp:host:", "http://127.0.0.1/"} {
		_, err := New(fleet.Balancer{Address: address, Backend: "b"})
		if err == nil || !strings.Contains(err.Error(), "unix:/run/haproxy.sock or tcp:HOST:PORT") {
			t.Errorf("New(%q) = %v, want an error with an example", address, err)
		}
	}
	if _, err := New(fleet.Balancer{Address: "unix:/s", Backend: "a b"}); err == nil {
		t.Error("a backend name with a space was accepted")
	}
}
