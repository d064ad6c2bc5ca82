package zabbix

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"railyard/internal/rollmon/source/answer"
	"railyard/internal/verdict"
)

// history is what a frontend knows of one host's item in a time.
type history struct {
	points  []point // oldest first
	problem string  // why there are none: "its item is disabled"
}

// item is an item of a host as item.get tells it: every number is a text.
type item struct {
	ID     string `json:"itemid"`
	Host   string `json:"hostid"`
	Type   string `json:"value_type"`
	Status string `json:"status"` // "1" = disabled
	State  string `json:"state"`  // "1" = not supported
	Error  string `json:"error"`
}

// The kinds of values an item may have that are numbers; others are characters, logs and texts.
const (
	typeFloat    = "0"
	typeUnsigned = "3"
)

// most bounds the values of one answer: one more would mean that the answer was cut.
const most = 500_000

// read asks the values of one item key on all hosts from one time to another. It takes one request for the hosts, one for
// the items, and one for the values of each kind (floats, integers): never one per host.
func (c *client) read(ctx context.Context, hosts []string, key string, from, till time.Time) (map[string]history, error) {
	names, err := c.hosts(ctx, hosts)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	items, err := c.items(ctx, names, key)
	if err != nil {
		return nil, err
	}
	found := make(map[string]history, len(names))
	byKind := map[string]map[string]string{} // value type → item → host name
	for _, name := range names {
		found[name] = history{problem: fmt.Sprintf("the host has no item with the key %q, or our token may not see it", key)}
	}
	for _, i := range items {
		name := names[i.Host]
		if found[name] = (history{problem: i.problem()}); found[name].problem == "" {
			if byKind[i.Type] == nil {
				byKind[i.Type] = map[string]string{}
			}
			byKind[i.Type][i.ID] = name
		}
	}
	for kind, of := range byKind {
		if err := c.values(ctx, kind, of, from, till, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (i item) problem() string {
	switch {
	case i.Status == "1":
		return "its item is disabled"
	case i.State == "1":
		return "its item is not supported there: " + i.Error
	case i.Type != typeFloat && i.Type != typeUnsigned:
		return "its item holds texts, not numbers"
	}
	return ""
}

// hosts finds host ids by technical name, and returns the names by id.
func (c *client) hosts(ctx context.Context, names []string) (map[string]string, error) {
	var answer []struct {
		ID   string `json:"hostid"`
		Host string `json:"host"`
	}
	err := c.call(ctx, "host.get", map[string]any{"output": []string{"hostid", "host"}, "filter": map[string]any{"host": names}}, &answer)
	byID := make(map[string]string, len(answer))
	for _, h := range answer {
		byID[h.ID] = h.Host
	}
	return byID, err
}

func (c *client) items(ctx context.Context, hosts map[string]string, key string) (items []item, err error) {
	ids := make([]string, 0, len(hosts))
	for id := range hosts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	err = c.call(ctx, "item.get", map[string]any{
		"output":  []string{"itemid", "hostid", "value_type", "status", "state", "error"},
		"hostids": ids, "filter": map[string]any{"key_": key},
	}, &items)
	return items, err
}

// values reads the history of items of one kind into found.
func (c *client) values(ctx context.Context, kind string, of map[string]string, from, till time.Time, found map[string]history) error {
	ids := make([]string, 0, len(of))
	for id := range of {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	number, err := strconv.Atoi(kind)
	if err != nil {
		return fmt.Errorf("value type %q of an item: %w", kind, err)
	}
	var values []struct {
		Item  string `json:"itemid"`
		Clock string `json:"clock"`
		Ns    string `json:"ns"`
		Value string `json:"value"`
	}
	err = c.call(ctx, "history.get", map[string]any{
		"output": "extend", "history": number, "itemids": ids,
		"time_from": from.Unix(), "time_till": till.Unix(), "sortfield": "clock", "sortorder": "ASC", "limit": most + 1,
	}, &values)
	if err != nil {
		return err
	}
	if len(values) > most {
		return &answer.Refusal{Outcome: verdict.NoData, Words: fmt.Sprintf("has more than %d values of this time: ask for fewer servers or a shorter time", most)}
	}
	for _, v := range values {
		name, ours := of[v.Item]
		if !ours {
			continue
		}
		at, value, err := number64(v.Clock, v.Ns, v.Value)
		h := found[name]
		switch {
		case err != nil:
			h.problem = err.Error()
		case !at.Before(from) && !at.After(till): // seconds are too coarse for the frontend to tell
			h.points = append(h.points, point{at, value})
		}
		found[name] = h
	}
	for _, name := range of {
		h := found[name]
		slices.SortStableFunc(h.points, func(a, b point) int { return a.at.Compare(b.at) })
		found[name] = h
	}
	return nil
}

// number64 reads a value and its time, which are texts.
func number64(clock, ns, text string) (time.Time, float64, error) {
	seconds, err := strconv.ParseInt(clock, 10, 64)
	nanos := int64(0)
	if err == nil && ns != "" {
		nanos, err = strconv.ParseInt(ns, 10, 64)
	}
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("a value has the time %q and %q ns, which is none", clock, ns)
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("its value is %q, not a number", text)
	}
	return time.Unix(seconds, nanos), value, nil
}
