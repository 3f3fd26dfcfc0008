#!/usr/bin/env bash
# Makes what is given to others: a Debian package, or a tarball for any Linux.
# The programs are static. The same commit gives the same bytes, wherever and
# whenever it is built with the same Go (SOURCE_DATE_EPOCH, by default the time
# of the commit).
#
#   usage: packaging/build.sh deb|tar [amd64|arm64]     (default this machine's)
#
# OUT is where to, default build/packages; BIN has the programs if they are built
# already; DEB_VERSION is the package's version; COMPRESSION are options of dpkg-deb.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

die() {
	echo "packaging: $*" >&2
	exit 1
}

format=${1:-}
[[ $format =~ ^(deb|tar)$ ]] || die "usage: packaging/build.sh deb|tar [amd64|arm64]"
arch=${2:-$(go env GOARCH)}
[[ $arch =~ ^(amd64|arm64)$ ]] || die "packages are made for amd64 and arm64, not for $arch"
[ "$format" = tar ] || command -v dpkg-deb >/dev/null || die "dpkg-deb is missing: apt-get install dpkg"

# The checkout may belong to another user than root.
git() { command git -c safe.directory='*' "$@"; }
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
# Later than lithos 0.19, and later commits later; a tag counts as it is.
debian_version() {
	local tag
	if tag=$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null); then
		echo "${tag#v}"
	else
		echo "1.0~git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d.%H%M%S).$(tr -c 'a-zA-Z0-9.\n' . <<<"$version")"
	fi
}
deb_version=${DEB_VERSION:-$(debian_version)}

out=${OUT:-build/packages}
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

programs() {
	local to=$1
	mkdir -p "$to"
	if [ -n "${BIN:-}" ]; then
		cp "$BIN"/lithos_* "$to"
	else
		local main entry
		for main in cmd/lithos_*/main.go; do
			entry=
			[ "$main/$arch" != cmd/lithos_knot/main.go/amd64 ] || entry='-E lithosKnotEntry' # as the Makefile does
			GOOS=linux GOARCH=$arch CGO_ENABLED=0 GOFLAGS=-buildvcs=false go build -trimpath \
				-ldflags "-s -w -X main.version=$version $entry" -o "$to/" "./$(dirname "$main")"
		done
	fi
	chmod 0755 "$to"/lithos_*
}

# documents TO: the pages that are read by people, as they are.
documents() {
	mkdir -p "$1"
	# As in the repository, so that links lead where they should.
	cp -r README.md docs examples "$1/"
	if [ -d packaging/grafana ]; then cp -r packaging/grafana "$1/"; fi
}

# extras TO: manuals and completions, into usr/share of the package. They are
# made of what the programs say, by programs for this machine.
extras() {
	local page section native=${BIN:-$work/native} made=$work/extras
	if [ -z "${BIN:-}" ] || [ "$arch" != "$(go env GOHOSTARCH)" ]; then
		native=$work/native
		BIN='' arch=$(go env GOHOSTARCH) programs "$native"
	fi
	GOOS='' GOARCH='' go run ./packaging/gen -bin "$native" -o "$made"
	for page in "$made"/man/*.[1-8]; do
		section=${page##*.}
		mkdir -p "$1/man/man$section"
		gzip -9n <"$page" >"$1/man/man$section/${page##*/}.gz"
	done
	put "$made/completions/bash" "$1/bash-completion/completions"
	put "$made/completions/zsh" "$1/zsh/vendor-completions"
	put "$made/completions/fish" "$1/fish/vendor_completions.d"
}

put() {
	mkdir -p "$2"
	cp "$1"/* "$2/"
}

# licences FILE: our terms, and those of all that is linked into the programs.
licences() {
	local terms=$work/terms module version dir file of
	mkdir -p "$terms"
	while read -r module version dir; do
		while read -r file; do
			of=$terms/$(sha256sum <"$file" | cut -c-64)
			cp "$file" "$of"
			echo "$module $version" >>"$of.modules"
		done < <(find "$dir" -maxdepth 1 -type f -regextype posix-extended -iregex '.*/(licen[cs]e|copying|notice)(\.[a-z]+)?' | LC_ALL=C sort)
		grep -qxF "$module $version" "$terms"/*.modules || die "$module has no file with its licence"
	done < <(GOOS=linux GOARCH=$arch go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/lithos_* | LC_ALL=C sort -u)
	{
		cat LICENSE
		printf '\nParts of the following are in the programs, under their own terms. Those of\ngolang.org/x are those of the library of Go, too.\n'
		# By the first module of each text.
		(cd "$terms" && grep -m1 . ./*.modules | LC_ALL=C sort -t: -k2) | while IFS=: read -r file module; do
			printf '\n%s\n\n' "$(printf '=%.0s' {1..80})"
			cat "$terms/$file"
			echo
			cat "$terms/${file%.modules}"
		done
	} >"$1"
}

# settle DIR: times and modes that do not depend on who builds.
settle() {
	find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
	chmod -R u=rwX,go=rX "$1"
}

deb() {
	local root=$work/root size
	programs "$root/usr/bin"
	mkdir -p "$root"/etc/lithos/{sandboxes,processes} "$root"/var/lib/lithos/{containers,dev} "$root/var/log/lithos" \
		"$root/usr/lib/systemd/system" "$root/etc/needrestart/conf.d" "$root/DEBIAN"
	cp packaging/master.yaml "$root/etc/lithos/"
	cp packaging/lithos.service "$root/usr/lib/systemd/system/"
	cp packaging/needrestart.conf "$root/etc/needrestart/conf.d/lithos.conf"
	documents "$root/usr/share/doc/lithos"
	extras "$root/usr/share"
	licences "$root/usr/share/doc/lithos/copyright"
	settle "$root"
	# What hostile images bring is nobody's business on the host.
	chmod 0711 "$root/var/lib/lithos/containers"
	chmod 0750 "$root/var/log/lithos"
	size=$(du -sk --apparent-size "$root" | cut -f1)
	cat >"$root/DEBIAN/control" <<-END
		Package: lithos
		Version: $deb_version
		Architecture: $arch
		Maintainer: Lithos developers <lithos@localhost>
		Section: admin
		Priority: optional
		Installed-Size: $size
		Description: supervisor and container runner for one host
		 Keeps the containers running that four YAML files describe: a container is a
		 directory, used as a read-only root file system, with one program in it.
		 .
		 The daemon lithos_tree, the checker lithos_check, lithos_switch for
		 deployments, lithos_ps to look at what runs, lithos_import for images of
		 other tools, and more.
	END
	printf '%s\n' /etc/lithos/master.yaml /etc/needrestart/conf.d/lithos.conf >"$root/DEBIAN/conffiles"
	cp packaging/debian/* "$root/DEBIAN/"
	(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
	chmod 0755 "$root"/DEBIAN/{postinst,prerm,postrm} "$root/DEBIAN"
	chmod 0644 "$root"/DEBIAN/{control,conffiles,md5sums}
	find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
	target=$out/lithos_${deb_version}_$arch.deb
	# shellcheck disable=SC2086 # options
	dpkg-deb --root-owner-group ${COMPRESSION:--Zxz -z6} --build "$root" "$target" >/dev/null
}

tarball() {
	local name=lithos-${deb_version}-linux-$arch
	local root=$work/$name
	programs "$root/bin"
	documents "$root/doc"
	extras "$root/share"
	mkdir -p "$root/systemd"
	cp packaging/lithos.service "$root/systemd/"
	cp packaging/master.yaml "$root/"
	licences "$root/LICENSE"
	settle "$root"
	target=$out/$name.tar.gz
	tar --create --directory "$work" --sort=name --owner=0 --group=0 --numeric-owner --format=gnu "$name" | gzip "-${GZIP_LEVEL:-9}n" >"$target.new"
	mv "$target.new" "$target"
}

if [ "$format" = deb ]; then deb; else tarball; fi
echo "$target"
