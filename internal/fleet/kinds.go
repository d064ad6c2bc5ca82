package fleet

import "slices"

// What a kind of resource means for a roll. Image and web resources that nothing has to be restarted for go to slots; a
// database is migrated by a command on one server; everything else is restarted, and so taken out of rotation first.

// Slot reports whether several versions of the app lie side by side on a server, so that switching is a pointer that moves and
// nobody notices: image and web resources without a restart command.
func (a App) Slot() bool { return (a.Kind == KindImage || a.Kind == KindWeb) && a.Restart == "" }

// Slots reports whether everything in the site's pool goes to slots.
func (s SiteInfo) Slots() bool { return s.all(App.Slot) }

// Migrates reports whether the site's pool is a database: its app's restart command is the migration.
func (s SiteInfo) Migrates() bool { return s.all(func(a App) bool { return a.Kind == KindDatabase }) }

func (s SiteInfo) all(is func(App) bool) bool {
	return len(s.Apps) > 0 && !slices.ContainsFunc(s.Apps, func(a App) bool { return !is(a) })
}

// Balanced reports whether a roll takes the site's servers out of a balancer's rotation. One that is only pointed elsewhere stays.
func (s SiteInfo) Balanced() bool {
	return s.Site.Balancer.Driver != BalancerNone && !s.Slots() && !s.Migrates()
}

// MayStop reports whether no floor holds: the site allows it, or no roll takes a server of it away from anybody.
func (s SiteInfo) MayStop() bool { return s.Site.AllowDowntime || s.Slots() || s.Migrates() }
