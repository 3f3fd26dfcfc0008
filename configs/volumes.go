package configs

import (
	"math"
	"path"
	"strings"

	"lithos/configs/document"
)

// volumeConfig is a volume as a container config describes it; Source and
// SubPath are yet to be found in the sandbox.
type volumeConfig struct {
	Volume
	virtual string // `!Readonly` and `!Persistent`
	at      document.Place
}

// volumeTags are the kinds of volumes by their tags; the second spelling of
// `!Readonly` is the manual's overview's (requirement A10).
var volumeTags = map[string]VolumeKind{
	"!Readonly": VolumeReadonly, "!ReadOnly": VolumeReadonly,
	"!Persistent": VolumePersistent, "!Statedir": VolumeStatedir, "!Tmpfs": VolumeTmpfs,
}

var volumeTagNames = []string{"!Readonly", "!Persistent", "!Statedir", "!Tmpfs"}

// The keys of each kind of volume; `exec` is ours.
var volumeKeys = map[VolumeKind][]string{
	VolumeReadonly:   {"path", "exec"},
	VolumePersistent: {"path", "mkdir", "mode", "user", "group", "exec"},
	VolumeStatedir:   {"path", "mode", "user", "group", "exec"},
	VolumeTmpfs:      {"size", "mode", "exec"},
}

const (
	defaultMode      = 0o777
	maxMode          = 0o1777
	defaultTmpfsSize = 100 << 20
	maxTmpfsSize     = 1 << 50
)

// readVolumes reads volumes, shorter mount points first and then by name, so
// that a mount point inside a volume comes after it (requirement H6).
func readVolumes(v document.Value) []volumeConfig {
	list, _ := v.Entries()
	var volumes []volumeConfig
	seen := map[string]string{}
	for _, e := range list {
		point, err := document.CleanInside(e.Name)
		if err == nil && point == "/" {
			err = document.Error("is the root, which is the image")
		}
		if err != nil {
			e.Errorf("the mount point %q %s", document.Clip(e.Name), err)
			continue
		}
		if first, twice := seen[point]; twice {
			e.Errorf("the same mount point as %s", document.Clip(first))
			continue
		}
		seen[point] = e.Name
		if vol, ok := readVolume(e.Value); ok {
			vol.MountPoint, vol.at = point, e.Value.Place()
			volumes = append(volumes, vol)
		}
	}
	sortedBy(volumes, func(v volumeConfig) string { return v.MountPoint })
	return sortedBy(volumes, func(v volumeConfig) int { return len(v.MountPoint) })
}

func readVolume(v document.Value) (volumeConfig, bool) {
	if v.Tag() == "" {
		v.Errorf("a volume has a tag, one of %s", strings.Join(volumeTagNames, ", "))
		return volumeConfig{}, false
	}
	kind, ok := volumeTags[v.Tag()]
	if !ok {
		v.Errorf("unknown kind of volume %s%s", document.Clip(v.Tag()), v.Collector().DidYouMean(v.Tag(), volumeTagNames))
		return volumeConfig{}, false
	}
	// Volumes in memory, or that die with the container, are executable as in the
	// original, and the manual does not say otherwise; persistent ones are noexec
	// unless asked for.
	dies := kind == VolumeTmpfs || kind == VolumeStatedir
	vol := volumeConfig{Volume: Volume{Kind: kind, Mode: defaultMode, Exec: dies}}
	body := v.WithoutTag()
	if body.Describe() != "a mapping" && !body.Null() && kind != VolumeTmpfs {
		vol.setPath(body.InsidePath("/"))
		return vol, true
	}
	o, ok := body.Object(volumeKeys[kind])
	if kind != VolumeTmpfs {
		vol.setPath(o.Get("path").InsidePath("/"))
		ok = (kind != VolumeReadonly || o.Get("path").Required()) && ok
	} else {
		vol.Size = o.Get("size").Integer(defaultTmpfsSize, 1, maxTmpfsSize) // 0 is "no limit" to the kernel
	}
	vol.Mkdir = o.Get("mkdir").Boolean(false)
	vol.Mode = readMode(o.Get("mode"))
	vol.User = uint32(o.Get("user").Integer(0, 0, document.MaxID))
	vol.Group = uint32(o.Get("group").Integer(0, 0, document.MaxID))
	vol.Exec = o.Get("exec").Boolean(dies)
	return vol, ok
}

// readMode reads permissions. People write them without the 0o: then they are decimal,
// as in the original, and what nobody means.
func readMode(v document.Value) uint32 {
	s, ok := v.Scalar("a number")
	if !ok {
		return defaultMode
	}
	n := v.Integer(defaultMode, 0, math.MaxInt64)
	if n > maxMode {
		v.Errorf("%s is not in 0 to 0o%o%s", document.Clip(s), maxMode, octalHint(s))
		return defaultMode
	}
	if hint := octalHint(s); hint != "" {
		v.Warnf("%s is a decimal number, which is 0o%o%s", document.Clip(s), n, hint)
	}
	return uint32(n)
}

// octalHint tells how to write what looks like permissions.
func octalHint(s string) string {
	if len(s) < 3 || len(s) > 4 || s[0] == '0' || strings.Trim(s, "01234567") != "" {
		return ""
	}
	return "; an octal one is written 0o" + s
}

func (vol *volumeConfig) setPath(clean string) {
	if vol.Kind == VolumeStatedir {
		vol.SubPath = strings.TrimPrefix(clean, "/")
	} else {
		vol.virtual = clean
	}
}

// resolveVolume finds the host directory of a virtual path. The longest prefix
// wins, compared by path component; what is read-only may also come from
// writable-paths (requirements H2, H7).
func resolveVolume(vol volumeConfig, sb *SandboxConfig) (Volume, string) {
	var tables []map[string]string
	switch vol.Kind {
	case VolumeReadonly:
		tables = []map[string]string{sb.ReadonlyPaths, sb.WritablePaths}
	case VolumePersistent:
		tables = []map[string]string{sb.WritablePaths}
	default:
		return vol.Volume, ""
	}
	for _, table := range tables {
		if source, rest, ok := longestPrefix(table, vol.virtual); ok {
			vol.Source, vol.SubPath = source, rest
			return vol.Volume, ""
		}
	}
	where := "writable-paths"
	if vol.Kind == VolumeReadonly {
		where = "readonly-paths or writable-paths"
	}
	return Volume{}, "no virtual directory of the sandbox holds " + document.Clip(vol.virtual) + ": it is not in " + where
}

// longestPrefix looks a cleaned absolute path up in a map of such paths.
func longestPrefix(table map[string]string, virtual string) (source, rest string, ok bool) {
	for prefix := virtual; ; prefix = path.Dir(prefix) {
		if source, ok = table[prefix]; ok {
			return source, strings.TrimPrefix(strings.TrimPrefix(virtual, prefix), "/"), true
		}
		if prefix == "/" {
			return "", "", false
		}
	}
}
