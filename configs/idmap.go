package configs

import (
	"math"

	"lithos/configs/document"
	"lithos/configs/option"
)

// maxMapLines is how many lines the kernel takes in a uid_map (since 4.15).
const maxMapLines = 340

var idMapTable = option.NewTable(
	option.Of("inside", option.ID, func(m *IDMap) *uint32 { return &m.Inside }, option.Doc{Example: "0", Manual: "3", Missing: option.Required,
		Text: "The first id in the container."}),
	option.Of("outside", option.ID, func(m *IDMap) *uint32 { return &m.Outside }, option.Doc{Example: "100000", Manual: "3", Missing: option.Required,
		Text: "The first id on the host."}),
	option.Of("count", option.Number[uint32](1, math.MaxUint32), func(m *IDMap) *uint32 { return &m.Count }, option.Doc{Example: "65536", Manual: "3", Missing: option.Required,
		Text: "How many ids."}),
)

var (
	idMap     = option.Kind[[]IDMap]{Type: listOf(idMapTable.Infos()), Read: readIDMap, Show: func(m []IDMap) string { return showEach(m, idMapTable) }}
	uidMapDoc = option.Doc{Example: "[{inside: 0, outside: 100000, count: 65536}]", Manual: "3",
		Text: "User ids of a user namespace, in a sandbox or in a container config, not in both. Together with `gid-map`."}
	gidMapDoc = option.Doc{Example: "[{inside: 0, outside: 100000, count: 65536}]", Manual: "3",
		Text: "Group ids of a user namespace. Together with `uid-map`."}
)

// listOf is the type of a list of mappings.
func listOf(fields []option.Info) option.Type {
	t := option.List(option.Object(fields))
	t.Name, t.Fields = "list of mappings, see below", fields
	return t
}

// readIDMap reads a uid-map or gid-map; nil is none.
func readIDMap(v document.Value, _ []IDMap) []IDMap {
	items := listed(v)
	if len(items) > maxMapLines {
		v.Errorf("has %d lines, the kernel takes at most %d", len(items), maxMapLines)
		return nil
	}
	var list []IDMap
	for _, item := range items {
		o, ok := idMapTable.Object(item)
		if !ok {
			continue
		}
		m := IDMap{}
		before := v.Collector().Errors()
		idMapTable.ReadAll(&o, &m)
		if v.Collector().Errors() > before {
			continue
		}
		if text := m.conflict(list); text != "" {
			item.Errorf("%s", text)
			continue
		}
		list = append(list, m)
	}
	return list
}

// conflict says why the kernel would refuse m after the lines before it.
func (m IDMap) conflict(before []IDMap) string {
	if uint64(m.Inside)+uint64(m.Count) > math.MaxUint32 || uint64(m.Outside)+uint64(m.Count) > math.MaxUint32 {
		return "maps ids beyond 4294967294"
	}
	for _, b := range before {
		if overlap(m.Inside, m.Count, b.Inside, b.Count) {
			return "maps inside ids that another line maps already"
		}
		if overlap(m.Outside, m.Count, b.Outside, b.Count) {
			return "maps outside ids that another line maps already"
		}
	}
	return ""
}

func overlap(a, countA, b, countB uint32) bool {
	return uint64(a) < uint64(b)+uint64(countB) && uint64(b) < uint64(a)+uint64(countA)
}

// mapped tells whether an inside id is in a map; without a map all are.
func mapped(list []IDMap, id uint32) bool {
	for _, m := range list {
		if id >= m.Inside && id-m.Inside < m.Count {
			return true
		}
	}
	return list == nil
}

// outsideAllowed tells whether all outside ids of m are in one of the ranges
// or in several that together hold them (requirement C10).
func (m IDMap) outsideAllowed(ranges []Range) bool {
	next, last := uint64(m.Outside), uint64(m.Outside)+uint64(m.Count)-1
	for next <= last {
		found := false
		for _, r := range ranges {
			if uint64(r.First) <= next && next <= uint64(r.Last) {
				next, found = uint64(r.Last)+1, true
			}
		}
		if !found {
			return false
		}
	}
	return true
}
