package configs

import (
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"lithos/configs/document"
	"lithos/configs/option"
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

const (
	defaultMode  = 0o777 // of volumes without the option, too: fingerprints have it
	maxMode      = 0o1777
	maxTmpfsSize = 1 << 50
)

// The options of volumes. The path is read apart: it may stand alone.
var (
	volumePath = option.Described[Volume]("path", option.Absolute.Type, option.Doc{Example: "/db/web", Manual: "7",
		Text: "Virtual directory of the sandbox, or one below it; of a `!Statedir`, the directory below the state directory."})
	volumeMkdir = option.Of("mkdir", option.Boolean, func(v *Volume) *bool { return &v.Mkdir }, option.Doc{Default: "false", Manual: "7",
		Text: "Make the directory if it is missing."})
	volumeMode = option.Of("mode", mode, func(v *Volume) *uint32 { return &v.Mode }, option.Doc{Default: "0o777", Example: "0o700", Manual: "7",
		Text: "Its permissions, where lithos makes it."})
	volumeUser = option.Of("user", option.ID, func(v *Volume) *uint32 { return &v.User }, option.Doc{Default: "0", Example: "1000", Manual: "7",
		Text: "Its owner, where lithos makes it."})
	volumeGroup = option.Of("group", option.ID, func(v *Volume) *uint32 { return &v.Group }, option.Doc{Default: "0", Example: "1000", Manual: "7",
		Text: "Its group, where lithos makes it."})
	tmpfsSize = option.Of("size", sizeOfTmpfs, func(v *Volume) *int64 { return &v.Size }, option.Doc{Default: "100Mi", Example: "10Mi", Manual: "7",
		Text: "How much it may hold."})
)

// volumeExec declares exec, ours. Volumes in memory, or that die with the container,
// are executable as in the original, and the manual does not say otherwise;
// persistent ones are noexec unless asked for.
func volumeExec(def string) option.Option[Volume] {
	return option.Of("exec", option.Boolean, func(v *Volume) *bool { return &v.Exec }, option.Doc{Default: def,
		Text: "Whether programs on it may be executed."})
}

// sizeOfTmpfs is never 0, which means no limit to the kernel.
var sizeOfTmpfs = func() option.Kind[int64] {
	k := option.Size
	k.Read = func(v document.Value, def int64) int64 { return v.Integer(def, 1, maxTmpfsSize) }
	return k
}()

// mode is permissions. People write them without the 0o: then they are decimal, as
// in the original, and what nobody means.
var mode = option.Kind[uint32]{
	Type: option.Number[uint32](0, maxMode).Named("permissions, octal as `0o755`").Type,
	Read: readMode,
	Show: func(m uint32) string { return "0o" + strconv.FormatUint(uint64(m), 8) },
}

var readonlyPath = func() option.Option[Volume] {
	p := volumePath
	p.Doc = option.Doc{Example: "/timezones", Manual: "7", Missing: option.Required, Text: "Virtual directory of the sandbox, or one below it."}
	return p
}()

// volumeTables are the options of each kind of volume.
var volumeTables = map[VolumeKind]*option.Table[Volume]{
	VolumeReadonly:   option.NewTable(readonlyPath, volumeExec("false")),
	VolumePersistent: option.NewTable(volumePath, volumeMkdir, volumeMode, volumeUser, volumeGroup, volumeExec("false")),
	VolumeStatedir:   option.NewTable(volumePath, volumeMode, volumeUser, volumeGroup, volumeExec("true")),
	VolumeTmpfs:      option.NewTable(tmpfsSize, volumeMode, volumeExec("true")),
}

// VolumeInfo describes a kind of volume.
type VolumeInfo struct {
	Tag, Text string
	Options   []option.Info
}

// Volumes describe the kinds of volumes.
func Volumes() []VolumeInfo {
	return []VolumeInfo{
		{"!Readonly", "A directory of the host, read-only. `!Readonly /virtual` is `!Readonly {path: /virtual}`.", volumeTables[VolumeReadonly].Infos()},
		{"!Persistent", "A directory of the host, writable. `!Persistent /virtual` is `!Persistent {path: /virtual}`.", volumeTables[VolumePersistent].Infos()},
		{"!Statedir", "A directory in the container's state directory, new with each container.", volumeTables[VolumeStatedir].Infos()},
		{"!Tmpfs", "Memory, new and empty with each container. It counts against `memory-limit`.", volumeTables[VolumeTmpfs].Infos()},
	}
}

// volumeType is that of a value of volumes. An editor drops the tags, so that the
// schema is one for all kinds; a scalar is the path alone.
var volumeType = option.Mapping("from a mount point to a volume, see below", option.Type{
	Schema:    option.AnyOf(`{"type": "null"}`, `{"type": "string", "pattern": "^(/|$)"}`, option.FieldsSchema),
	Fields:    volumeFields(),
	Elsewhere: true,
})

// volumeFields are the options of all kinds of volumes, none of them required.
func volumeFields() []option.Info {
	var all []option.Info
	for _, kind := range Volumes() {
		for _, o := range kind.Options {
			o.Missing = ""
			if !slices.ContainsFunc(all, func(a option.Info) bool { return a.Key == o.Key }) {
				all = append(all, o)
			}
		}
	}
	return all
}

// String is the volume as a config may have it, with the path on the host.
func (v Volume) String() string {
	var from []string
	if v.Kind != VolumeTmpfs {
		from = []string{"path: " + path.Join(v.Source, v.SubPath)}
	}
	return "!" + string(v.Kind) + " " + volumeTables[v.Kind].Show(&v, from...)
}

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
	vol := volumeConfig{Volume: Volume{Kind: kind, Mode: defaultMode}}
	body, table := v.WithoutTag(), volumeTables[kind]
	if !body.IsMapping() && !body.Null() && kind != VolumeTmpfs {
		table.Defaults(&vol.Volume)
		vol.setPath(body.InsidePath("/"))
		return vol, true
	}
	o, ok := table.Read(body, &vol.Volume)
	if kind != VolumeTmpfs {
		vol.setPath(o.Get("path").InsidePath("/"))
	}
	return vol, ok && (kind != VolumeReadonly || !o.Get("path").Null())
}

func readMode(v document.Value, def uint32) uint32 {
	s, ok := v.Scalar("a number")
	if !ok {
		return def
	}
	n := v.Integer(int64(def), 0, math.MaxInt64)
	if n > maxMode {
		v.Errorf("%s is not in 0 to 0o%o%s", document.Clip(s), maxMode, octalHint(s))
		return def
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
	return Volume{}, "no virtual directory of the sandbox holds " + document.Clip(vol.virtual) + ": it is not in " + where + virtualDirectories(tables)
}

// virtualDirectories lists some that there are, as the end of a sentence.
func virtualDirectories(tables []map[string]string) string {
	const most = 10
	var names []string
	for _, table := range tables {
		names = slices.AppendSeq(names, maps.Keys(table))
	}
	if len(names) == 0 {
		return ", which are empty"
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return ", which have " + strings.Join(names, ", ")
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
