package smoke

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"railyard/internal/fleet"
	"railyard/internal/roller"
)

var _ roller.Tester = (*Tester)(nil)

// app starts a server that answers 200 on the given paths and 500 elsewhere.
func app(t *testing.T, good ...string) (address string, port int) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		for _, path := range good {
			if req.URL.Path == path {
				return
			}
		}
		http.Error(w, "broken", http.StatusInternalServerError)
	}))
	t.Cleanup(server.Close)
	address = server.Listener.Addr().String()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if port, err = strconv.Atoi(text); err != nil {
		t.Fatal(err)
	}
	return address, port
}

func machine(address string, apps ...fleet.App) roller.Machine {
	return roller.Machine{Server: fleet.Server{Name: "hotel-1", Address: address}, Apps: apps}
}

func TestAServerPassesWhenEveryCheckOfEveryAppPasses(t *testing.T) {
	address, _ := app(t, "/healthz")
	_, webPort := app(t, "/", "/login")
	api := fleet.App{Name: "hotel-api", Smoke: []fleet.Check{{Path: "/healthz"}}}
	web := fleet.App{Name: "hotel-web", Port: webPort, Smoke: []fleet.Check{{Path: "/"}, {Path: "/login"}}}
	if err := New().Test(t.Context(), machine(address, api, web)); err != nil {
		t.Error(err)
	}
}

func TestTheErrorNamesEveryFailedCheckWithAppAndServer(t *testing.T) {
	address, _ := app(t, "/healthz")
	api := fleet.App{Name: "hotel-api", Smoke: []fleet.Check{{Path: "/healthz"}, {Path: "/rooms"}}}
	web := fleet.App{Name: "hotel-web", Smoke: []fleet.Check{{Path: "/login", Status: 302}}}
	err := New().Test(t.Context(), machine(address, api, web))
	want := "smoke test of hotel-api on hotel-1: GET http://" + address + "/rooms: expected status 200, got 500 with body \"broken\\n\"\n" +
		"smoke test of hotel-web on hotel-1: GET http://" + address + "/login: expected status 302, got 500 with body \"broken\\n\""
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

func TestAnAddressWithoutPortIsRefusedWithAnExample(t *testing.T) {
	err := New().Test(t.Context(), machine("10.0.0.1", fleet.App{Name: "hotel-api", Port: 80}))
	if err == nil || !strings.Contains(err.Error(), "expected HOST:PORT") {
		t.Errorf("error %v, want one with an example", err)
	}
}
