package main

import (
	"errors"
	"runtime"
	"slices"
	"strings"
)

// platform is a machine that an image is made for. Of these names, Go's are
// those of the specification: image-spec/image-index.md.
type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

// parsePlatform reads OS/ARCH or OS/ARCH/VARIANT.
func parsePlatform(s string) (platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return platform{}, errors.New("not such as linux/amd64 or linux/arm/v7")
	}
	return platform{OS: parts[0], Architecture: parts[1], Variant: strings.Join(parts[2:], "")}.common(), nil
}

func hostPlatform() platform { return platform{OS: "linux", Architecture: runtime.GOARCH} }

// common replaces other names of an architecture, and those of a variant that
// every machine of it is. An image that tells no system is for Linux.
func (p platform) common() platform {
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "armhf":
		p.Architecture = "arm"
	}
	if p.Architecture == "amd64" && p.Variant == "v1" || p.Architecture == "arm64" && p.Variant == "v8" {
		p.Variant = ""
	}
	if p.OS == "" {
		p.OS = "linux"
	}
	return p
}

func (p platform) String() string {
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// unknown is said of attestations, which are for no machine.
func (p platform) unknown() bool { return p.OS == "unknown" }

// runs lists the variants of images that run on this machine, the best first.
// Without a variant it is the oldest machine, but for arm, where images without
// one are for v7.
func (p platform) runs() []string {
	all := map[string][]string{"amd64": {"v4", "v3", "v2", ""}, "arm": {"v8", "v7", "", "v6", "v5"}}[p.Architecture]
	from := p.Variant
	if p.Architecture == "arm" && from == "" {
		from = "v7"
	}
	if at := slices.Index(all, from); at >= 0 {
		return all[at:]
	}
	return slices.Compact([]string{p.Variant, ""})
}

// fits tells how well an image for p runs on the machine: 0 is best, -1 not at
// all.
func (p platform) fits(machine platform) int {
	if p.OS != machine.OS || p.Architecture != machine.Architecture && p.Architecture != "" {
		return -1
	}
	return slices.Index(machine.runs(), p.Variant)
}
