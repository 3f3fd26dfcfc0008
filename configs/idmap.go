package configs

import (
	"math"

	"lithos/configs/document"
)

// maxMapLines is how many lines the kernel takes in a uid_map (since 4.15).
const maxMapLines = 340

var idMapKeys = []string{"inside", "outside", "count"}

// readIDMap reads a uid-map or gid-map; nil is none.
func readIDMap(v document.Value) []IDMap {
	items, _ := v.Items()
	if len(items) > maxMapLines {
		v.Errorf("has %d lines, the kernel takes at most %d", len(items), maxMapLines)
		return nil
	}
	var list []IDMap
	for _, item := range items {
		o, ok := item.Object(idMapKeys)
		if !ok || !allRequired(&o, idMapKeys) {
			continue
		}
		m := IDMap{
			Inside:  uint32(o.Get("inside").Integer(0, 0, document.MaxID)),
			Outside: uint32(o.Get("outside").Integer(0, 0, document.MaxID)),
			Count:   uint32(o.Get("count").Integer(1, 1, math.MaxUint32)),
		}
		if text := m.conflict(list); text != "" {
			item.Errorf("%s", text)
			continue
		}
		list = append(list, m)
	}
	return list
}

func allRequired(o *document.Object, names []string) bool {
	ok := true
	for _, name := range names {
		ok = o.Get(name).Required() && ok
	}
	return ok
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
