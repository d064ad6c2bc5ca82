package fleet

import (
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"
)

// owners remembers who has what must be had once, over all pools.
type owners map[string]string

// take returns who has a thing already, or "" and gives it to owner.
func (o owners) take(thing, owner string) string {
	if other, taken := o[thing]; taken {
		return other
	}
	o[thing] = owner
	return ""
}

func (c *checker) checkPools() {
	seen := map[string]bool{}
	taken := owners{}
	for i, pool := range c.t.Pools {
		at := fmt.Sprintf("$.pools[%d]", i)
		subject := called("pool", pool.Name, at)
		c.name(at, "pool", pool.Name, plainName, seen)
		c.ref(at+".sbu", subject, "sbu", "SBU", pool.SBU, c.sbus)
		c.refs(at, subject, "after", "pool", pool.After, c.pools)
		if len(pool.Sites) == 0 {
			c.say(at, subject, "it has no sites", "add sites: with its servers in each environment")
		}
		environments := map[string]bool{}
		for j, site := range pool.Sites {
			at := fmt.Sprintf("%s.sites[%d]", at, j)
			if c.ref(at+".environment", subject, "environment", "environment", site.Environment, c.environments) && environments[site.Environment] {
				c.say(at+".environment", subject, fmt.Sprintf("it has two sites in %s", site.Environment), "put all its servers there into one site")
			}
			environments[site.Environment] = true
			c.checkSite(at, fmt.Sprintf("%s: %s", subject, site.Environment), pool, site, taken)
		}
	}
	c.checkShared()
}

func (c *checker) checkSite(at, subject string, pool Pool, site Site, taken owners) {
	env, _ := c.t.Environment(site.Environment)
	c.checkBalancer(at+".balancer", subject, site.Balancer)
	info := SiteInfo{Site: site, Apps: c.t.index.appsOf[pool.Name]}
	if info.Migrates() && len(site.Servers) > 1 {
		c.say(at+".servers", subject, fmt.Sprintf("a database is migrated from one server, and it has %d", len(site.Servers)), "list the one server that the migration runs on")
	}
	if pool.Traffic && env.Production && site.Balancer.Driver == BalancerNone && !info.Slots() {
		c.say(at+".balancer.driver", subject, "a production pool with visitors' traffic has no balancer, so its servers cannot be pulled out of rotation",
			"configure the haproxy balancer, or remove traffic: true from the pool")
	}
	c.checkHost(at+".host", subject, site.Host)
	if len(site.Servers) == 0 {
		c.say(at+".servers", subject, "it has no servers", "list at least one, or remove the site")
	}
	for k, server := range site.Servers {
		c.checkServer(fmt.Sprintf("%s.servers[%d]", at, k), subject, pool, site, server, taken)
	}
	before := len(c.found)
	if site.Strategy != nil {
		c.checkStrategy(at+".strategy", subject, *site.Strategy, env.Production)
	}
	if len(c.found) == before && len(site.Servers) > 0 && env.Name != "" && !c.unsound[env.Name] {
		c.checkRollable(at, subject, info, resolve(env, site, info.Balanced()))
	}
}

func (c *checker) checkBalancer(at, subject string, b Balancer) {
	if !c.oneOf(at+".driver", subject, "balancer: driver", b.Driver, BalancerHAProxy, BalancerNone, BalancerExec) || b.Driver == BalancerNone {
		return
	}
	if b.Driver == BalancerExec {
		c.program(at+".address", subject, "balancer: address", b.Address)
		return
	}
	if b.Backend == "" {
		c.say(at+".backend", subject, "balancer: backend is missing", "name the backend of haproxy.cfg that has these servers")
	}
	network, where, _ := strings.Cut(b.Address, ":")
	fix := "write unix:/run/haproxy.sock or tcp:127.0.0.1:9999, where haproxy.cfg has its stats socket at level admin"
	switch {
	case b.Address == "":
		c.say(at+".address", subject, "balancer: address is missing", fix)
	case network == "unix" && path.IsAbs(where):
	case network == "tcp":
		if problem := addressProblem(where); problem != "" {
			c.say(at+".address", subject, fmt.Sprintf("balancer: address %q: %s", b.Address, problem), fix)
		}
	default:
		c.say(at+".address", subject, fmt.Sprintf("balancer: address %q is neither unix: with an absolute path nor tcp: with host and port", b.Address), fix)
	}
}

func (c *checker) checkHost(at, subject string, h Host) {
	if !c.oneOf(at+".driver", subject, "host: driver", h.Driver, HostLocal, HostSSH, HostExec) {
		return
	}
	switch {
	case h.Driver == HostExec:
		c.program(at+".program", subject, "host: program", h.Program)
	case h.Program != "":
		c.say(at+".program", subject, fmt.Sprintf("host: the driver %s runs no program", h.Driver), "remove program, or use driver: exec")
	}
}

// program takes the absolute path of a user's program.
func (c *checker) program(at, subject, field, program string) {
	if !path.IsAbs(program) {
		c.say(at, subject, fmt.Sprintf("%s %q is not the absolute path of a program", field, program), "write the program's path, /etc/railyard/our-driver; see docs/drivers.md")
	}
}

// checkServer takes what a server must have for itself. Of two servers that collide in one thing only that is told, not
// what follows from it.
func (c *checker) checkServer(at, subject string, pool Pool, site Site, s Server, taken owners) {
	me := subject + ": " + called("server", s.Name, at)
	owner := fmt.Sprintf("server %q of pool %q", s.Name, pool.Name)
	if c.checkServerName(at+".name", me, owner, pool, site, s, taken) && site.Balancer.Driver == BalancerHAProxy {
		member := strings.Join([]string{"member", site.Balancer.Address, site.Balancer.Backend, s.Member}, " ")
		if other := taken.take(member, owner); other != "" {
			c.say(at+".member", me, fmt.Sprintf("member %q of backend %q is also %s", s.Member, site.Balancer.Backend, other),
				"give each server the member that balances it")
		}
	}
	if problem := addressProblem(s.Address); problem != "" {
		c.say(at+".address", me, fmt.Sprintf("address %q: %s", s.Address, problem), "write host:port, such as 10.0.3.17:8080")
	} else if other := taken.take("address "+site.Environment+" "+s.Address, owner); other != "" {
		c.say(at+".address", me, fmt.Sprintf("address %s is used twice in %s, also by %s", s.Address, site.Environment, other), "correct one of them")
	} else {
		c.checkDir(at+".dir", me, owner, pool, site, s, taken)
	}
}

func (c *checker) checkServerName(at, me, owner string, pool Pool, site Site, s Server, taken owners) bool {
	switch {
	case s.Name == "":
		c.say(at, me, "it has no name", "write name: and a name")
		return false
	case !plainName.MatchString(s.Name):
		c.say(at, me, "the name is not usable in paths and labels",
			"begin with a letter or digit; letters, digits, '.', '_' and '-', at most 63")
		return false
	}
	if other := taken.take("name "+site.Environment+" "+s.Name, owner); !c.share(at, me, pool, site, s, other != "") && other != "" {
		c.say(at, me, fmt.Sprintf("the name is used twice in %s, also by %s", site.Environment, other), notTwice)
		return false
	}
	return true
}

// checkDir refuses two servers of a pool that would switch the same directory.
func (c *checker) checkDir(at, me, owner string, pool Pool, site Site, s Server, taken owners) {
	if !path.IsAbs(s.Dir) || path.Clean(s.Dir) != s.Dir || s.Dir == "/" {
		c.say(at, me, fmt.Sprintf("dir %q is not an absolute path in its shortest form", s.Dir), "write a directory of its own, such as /srv/railyard")
		return
	}
	machine := ""
	if site.Host.Driver != HostLocal {
		machine, _, _ = net.SplitHostPort(s.Address)
	}
	if other := taken.take(strings.Join([]string{"dir", pool.Name, machine, s.Dir}, " "), owner); other != "" {
		c.say(at, me, fmt.Sprintf("dir %s on the same machine is also that of %s, and both host the same apps", s.Dir, other), "give each server a directory of its own")
	}
}

// addressProblem says what is wrong with a host:port, or "".
func addressProblem(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return "expected host:port"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Sprintf("port %q is not a number from 1 to 65535", port)
	}
	if strings.ContainsFunc(host, func(r rune) bool { return !strings.ContainsRune(".:-_%", r) && !isAlphanumeric(r) }) {
		return fmt.Sprintf("%q is no host name", host)
	}
	return ""
}

func isAlphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
