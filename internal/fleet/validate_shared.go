package fleet

import (
	"fmt"
	"net"
	"slices"
)

// notTwice is what to do about two servers of one name.
const notTwice = "give one of them another name; or, if it is one machine that hosts two pools, write shared: true in both"

// sharedAt is one pool's entry of a shared server.
type sharedAt struct {
	at, me  string // where it is in the file, and what messages call it
	pool    string
	driver  string // of its host: "ssh"
	machine string // the host of its address: "10.0.3.17"
}

// share notes an entry of a shared server, and reports whether the entries of its name before this one are those of the same
// machine in other pools.
func (c *checker) share(at, me string, pool Pool, site Site, s Server, taken bool) bool {
	key := site.Environment + " " + s.Name
	entries := c.shared[key]
	if !s.Shared || (taken && len(entries) == 0) {
		return false
	}
	twice := slices.ContainsFunc(entries, func(e sharedAt) bool { return e.pool == pool.Name })
	machine, _, _ := net.SplitHostPort(s.Address)
	c.shared[key] = append(entries, sharedAt{at: at, me: me, pool: pool.Name, driver: site.Host.Driver, machine: machine})
	return len(entries) > 0 && !twice
}

// checkShared refuses shared servers that no other pool has, and entries that cannot be one machine.
func (c *checker) checkShared() {
	for _, key := range sortedKeys(c.shared) {
		entries := c.shared[key]
		first := entries[0]
		if len(entries) == 1 {
			c.say(first.at, first.me, "shared: no other pool shares a server of this name in its environment",
				"give the other pool's entry the same name and shared: true, or remove shared")
		}
		for _, e := range entries[1:] {
			switch {
			case e.machine != first.machine:
				c.say(e.at, e.me, fmt.Sprintf("shared: its address is on %q, and on %q in pool %q, so it is not one machine", e.machine, first.machine, first.pool),
					"correct one of the addresses, or give them different names and remove shared")
			case e.driver != first.driver:
				c.say(e.at, e.me, fmt.Sprintf("shared: it is reached by %s, and by %s in pool %q", e.driver, first.driver, first.pool), "use one host driver for one machine")
			}
		}
	}
}
