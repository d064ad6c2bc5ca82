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

// listen opens the machine's control socket: HTTP, so that a deployment needs nothing but curl.
func (s *Supervisor) listen(machine, socket string) error {
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
	server := &http.Server{Handler: s.control(machine), ReadHeaderTimeout: 5 * time.Second}
	s.sockets[machine] = socket
	s.controls = append(s.controls, server)
	s.serving.Go(func() { _ = server.Serve(listener) }) // ends with ErrServerClosed in Close
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
