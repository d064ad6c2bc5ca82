package jenkins_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// cut says where the connection of a trigger breaks off, as a function of the
// bytes of request and reply: how many of the request reach Jenkins, and how many
// of the reply come back. -1 is all of them.
type cut struct {
	name  string
	up    func(head, body int) int
	down  func(line, head int) int
	later bool // the client is cut off at once, and the request arrives later
}

func at(n int) func(int, int) int { return func(int, int) int { return n } }

// cuts are the classes of offsets: one in each part of request and reply, and
// one at each border.
var cuts = []cut{
	{"nowhere", at(-1), at(-1), false},
	{"before the request", at(0), at(0), false},
	{"in the request line", at(9), at(0), false},
	{"in the request's headers", func(head, _ int) int { return head / 2 }, at(0), false},
	{"before the request's body", func(head, _ int) int { return head }, at(0), false},
	{"in the request's body", func(head, body int) int { return head + body/2 }, at(0), false},
	{"before the last byte of the request", func(head, body int) int { return head + body - 1 }, at(0), false},
	{"before the reply", at(-1), at(0), false},
	{"in the reply's first line", at(-1), at(9), false},
	{"in the reply's headers", at(-1), func(line, head int) int { return (line + head) / 2 }, false},
	{"before the last byte of the reply's headers", at(-1), func(_, head int) int { return head - 1 }, false},
	{"after the reply", at(-1), func(_, head int) int { return head }, false},
	{"and the request arrives later", at(-1), at(0), true},
}

// faultProxy stands before a stand-in and cuts the connections of every other
// trigger, each in the next class.
type faultProxy struct {
	url      string
	upstream string // host:port
	triggers atomic.Int64
	late     sync.WaitGroup
	used     [32]atomic.Int64 // by class
}

func newFaultProxy(t *testing.T, upstream string) *faultProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &faultProxy{url: "http://" + l.Addr().String(), upstream: upstream}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			wg.Go(func() {
				p.serve(conn)
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
		p.late.Wait()
	})
	return p
}

// serve passes requests of one connection on until one is cut.
func (p *faultProxy) serve(conn net.Conn) {
	defer conn.Close()
	var raw bytes.Buffer
	in := bufio.NewReader(io.TeeReader(conn, &raw))
	for {
		raw.Reset()
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		// The client waits for its answer, so raw holds this request and no other.
		request := bytes.Clone(raw.Bytes())
		c := cuts[0]
		if isTrigger(r) {
			class := 0 // every other one gets through
			if n := int(p.triggers.Add(1)); n%2 == 0 {
				class = n / 2 % len(cuts)
			}
			p.used[class].Add(1)
			c = cuts[class]
		}
		if c.later {
			p.late.Go(func() {
				time.Sleep(60 * time.Millisecond) // the network does it, not a test that waits
				p.forward(request, r.Method)
			})
			return
		}
		n := c.up(len(request)-len(body), len(body))
		if n >= 0 {
			p.forward(request[:n], "")
			return
		}
		reply := p.forward(request, r.Method)
		if reply == nil {
			return
		}
		m := c.down(bytes.IndexByte(reply, '\n'), bytes.Index(reply, []byte("\r\n\r\n"))+4)
		if m >= 0 {
			_, _ = conn.Write(reply[:m]) // and then it is cut
			return
		}
		if _, err := conn.Write(reply); err != nil {
			return
		}
	}
}

// forward sends bytes to Jenkins and returns its reply; nil when there is none.
// Without a method it hangs up after them.
func (p *faultProxy) forward(request []byte, method string) []byte {
	conn, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return nil
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil || method == "" {
		return nil
	}
	var raw bytes.Buffer
	res, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &raw)), &http.Request{Method: method})
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return nil
	}
	return raw.Bytes()
}
