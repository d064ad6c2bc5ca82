package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"railyard/internal/fleet"
)

// providerRescan is the provider of deliveries that no code host sent.
const providerRescan = "rescan"

// Missed makes deliveries of the followed branches of a repository that moved without anybody telling: webhooks get lost,
// by a code host that gave up or while Railyard was away. tips are the mirror's, known those that were taken in. A
// repository of which nothing is known yet has just joined; its old branches are noted (adopted) and not built.
func Missed(r fleet.Repository, t *fleet.Topology, tips, known map[string]string, now time.Time) (deliveries []Delivery, adopted []TakeIn) {
	for _, branch := range branches(tips, known) {
		tip, before := tips[branch], known[branch]
		if tip == before || !t.Follows(r.Name, branch) {
			continue
		}
		if len(known) == 0 {
			adopted = append(adopted, TakeIn{Repository: r.Name, Branch: branch, NewTip: tip})
			continue
		}
		key := sha256.Sum256([]byte(strings.Join([]string{r.Name, branch, before, tip}, "\x00")))
		deliveries = append(deliveries, Delivery{
			Provider: providerRescan, Key: hex.EncodeToString(key[:16]), Repository: r.Name, Branch: branch, After: tip, At: now,
		})
	}
	return deliveries, adopted
}

func branches(sets ...map[string]string) (names []string) {
	for _, set := range sets {
		for name := range set {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
