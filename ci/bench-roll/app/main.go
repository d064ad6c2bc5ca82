// Command app is the server that is rolled in the benchmark: a request costs it 5 ms, a start 300 ms, and on SIGTERM it
// finishes what it is answering and ends.
//
//	app ADDRESS DIRECTORY LEASH
//
// It answers with the text of DIRECTORY/current/VERSION, read once. LEASH is a unix socket held open by the benchmark:
// when that is gone, so is the app.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	startTime = 300 * time.Millisecond
	workTime  = 5 * time.Millisecond
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func run(address, dir, leash string) error {
	if err := hold(leash); err != nil {
		return err
	}
	version, err := os.ReadFile(filepath.Join(dir, "current", "VERSION"))
	if err != nil {
		return err
	}
	time.Sleep(startTime)

	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(workTime)
		_, _ = w.Write(version)
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	asked, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	finished := make(chan error, 1)
	go func() {
		<-asked.Done()
		finished <- server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-finished
}

// hold ends this process when the other end of the leash does.
func hold(leash string) error {
	conn, err := net.Dial("unix", leash)
	if err != nil {
		return err
	}
	go func() {
		_, _ = conn.Read(make([]byte, 1)) // nothing is ever sent
		os.Exit(1)
	}()
	return nil
}
