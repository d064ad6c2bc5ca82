package machines

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// command is the machine's "service" script. Control speaks HTTP, so that it needs nothing but curl.
const command = `#!/bin/sh
# service restart|stop|status APP: what systemctl is on a real server.
set -eu
verb=POST
if [ "$1" = status ]; then verb=GET; fi
exec curl --silent --show-error --fail-with-body --max-time 20 --unix-socket '%s' -X "$verb" "http://machine/$1/$2"
`

// listen opens the machine's control socket and writes its service script.
func (s *Supervisor) listen(m Machine, socket string) error {
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return err
	}
	// A killed run leaves its socket file behind; nobody answers on it.
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("open control socket: %w", err)
	}
	server := &http.Server{Handler: s.control(m.Name()), ReadHeaderTimeout: 5 * time.Second}
	s.sockets[m.Name()] = socket
	s.controls = append(s.controls, server)
	s.serving.Go(func() { _ = server.Serve(listener) }) // ends with ErrServerClosed in Close
	if err := os.WriteFile(filepath.Join(m.Dir, "service"), fmt.Appendf(nil, command, socket), 0o755); err != nil {
		return fmt.Errorf("write service script: %w", err)
	}
	return nil
}

// control is the handler of one machine's socket.
func (s *Supervisor) control(machine string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /restart/{app}", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, machine, r.PathValue("app"), s.Restart(r.Context(), machine, r.PathValue("app")))
	})
	mux.HandleFunc("POST /stop/{app}", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, machine, r.PathValue("app"), s.Stop(r.Context(), machine, r.PathValue("app")))
	})
	mux.HandleFunc("GET /status/{app}", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, machine, r.PathValue("app"), nil)
	})
	return mux
}

// answer reports the service's status, or why the command failed.
func (s *Supervisor) answer(w http.ResponseWriter, machine, app string, err error) {
	var status Status
	if err == nil {
		status, err = s.Status(machine, app)
	}
	switch {
	case errors.Is(err, ErrUnknown):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, ErrNoRelease):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(status) // the client went away
	}
}
