package ports

import (
	"net"
	"sync"
	"testing"
)

func TestNoPortIsHandedOutTwice(t *testing.T) {
	var sets [4]Set
	got := make(chan int, 200)
	var takers sync.WaitGroup
	for i := range sets {
		t.Cleanup(func() { sets[i].Close() })
		takers.Go(func() {
			for range 50 {
				port, err := sets[i].Take()
				if err != nil {
					t.Error(err)
					return
				}
				got <- port
			}
		})
	}
	takers.Wait()
	close(got)
	seen := map[int]bool{}
	for port := range got {
		if seen[port] {
			t.Errorf("port %d was handed out twice", port)
		}
		seen[port] = true
	}
	if len(seen) != 200 {
		t.Errorf("%d different ports, want 200", len(seen))
	}
}

func TestAReservedPortCanBeListenedOnAgainAndAgain(t *testing.T) {
	var set Set
	defer set.Close()
	port, err := set.Take()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l, err := net.Listen("tcp", Address(port))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}

func TestAPortInUseIsNotHandedOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if port := l.Addr().(*net.TCPAddr).Port; unused(port) {
		t.Errorf("port %d counts as unused although a server listens on it", port)
	}
}

func TestAClosedSetGivesItsPortsBack(t *testing.T) {
	var set Set
	port, err := set.Take()
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	claim, err := net.Listen("unix", claimName(port))
	if err != nil {
		t.Fatalf("port %d is still claimed: %v", port, err)
	}
	claim.Close()
}
