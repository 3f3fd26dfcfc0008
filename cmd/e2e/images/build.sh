#!/bin/sh
# Builds the image directory that cmd/e2e and the examples run real programs in,
# from Debian's packages: build/images/debian with nginx, redis, python, node,
# s6 and busybox (about 200 MB, a third of it node and its Unicode tables).
# With a NAME and PACKAGEs it builds another one of those.
#
# It takes the mirrors that this machine's apt is configured with, needs root,
# and does nothing but to refresh the configs where the packages were unpacked
# already by the same script from the same list (the stamp).
#
#   usage: cmd/e2e/images/build.sh [DIRECTORY [NAME PACKAGE…]]      (default build/images)
set -eu
umask 022

packages="nginx-light redis-server python3-minimal libpython3-stdlib nodejs busybox-static
	python3-gunicorn python3-werkzeug python3-twisted node-express s6"
# Nobody reads these inside a container; perl comes along by a dependency.
useless="usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/bug
	usr/share/perl usr/share/perl5 usr/lib/x86_64-linux-gnu/perl-base usr/lib/aarch64-linux-gnu/perl-base
	usr/share/gdb usr/share/vim usr/share/systemtap usr/share/nodejs/npm usr/share/pixmaps
	usr/lib/x86_64-linux-gnu/gconv usr/lib/aarch64-linux-gnu/gconv usr/share/initramfs-tools
	usr/share/nodejs/@types usr/share/nodejs/@babel usr/share/nodejs/core-js usr/share/nodejs/core-js-pure
	usr/share/nodejs/es-abstract usr/share/nodejs/lodash usr/share/nodejs/lodash-es usr/share/nodejs/caniuse-lite
	usr/share/nodejs/regenerate-unicode-properties
	var/cache var/lib/apt var/lib/dpkg etc/apt etc/init.d etc/cron.daily etc/systemd"
# Mount points: lithos makes none (the root is read-only, and volumes need a place).
mount_points="dev proc sys tmp run etc data logs state conf out var/lib/redis var/lib/nginx var/log/nginx"

say() { echo "images: $*"; }
die() { echo "images: $*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../../build/images}
name=debian
if [ $# -gt 2 ]; then
	name=$2
	shift 2
	packages="busybox-static $*"
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)

[ "$(id -u)" = 0 ] || die "root is needed to unpack packages with their owners; run it as root"
command -v apt-get >/dev/null || die "this needs a Debian machine (apt-get is missing)"

# One at a time: a second run waits, and then finds the stamp.
exec 9>"$out/.lock"
command -v flock >/dev/null && flock 9

# shellcheck disable=SC1091
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
stamp=$(
	cat "$here/build.sh" - <<-EOF | sha256sum | cut -c1-16
		$packages
	EOF
)-$codename-$(dpkg --print-architecture)

# What a killed run left, by the name that only such runs use.
for d in "$out"/.new.*; do
	[ -d "$d" ] && rm -rf --one-file-system "$d"
done

# configs copies what is ours and changes often: container configs, scripts.
configs() {
	[ "$name" = debian ] || return 0
	rm -rf "$1/config" "$1/app"
	cp -r "$here/config" "$here/app" "$1/"
	chmod -R u=rwX,go=rX "$1/config" "$1/app"
}

if [ "$(cat "$out/$name.stamp" 2>/dev/null)" = "$stamp" ] && [ -x "$out/$name/usr/bin/busybox" ]; then
	configs "$out/$name"
	say "$out/$name is up to date"
	exit 0
fi

# shellcheck disable=SC2016 # apt-get expands these
mirrors() {
	apt-get indextargets --format '$(ORIGIN)|$(CREATED_BY)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)' |
		sed -n 's/^Debian|Packages|//p' | sort -u
}

work=$(mktemp -d "$out/.new.XXXXXX")
# shellcheck disable=SC2064
trap "rm -rf --one-file-system '$work'" EXIT
trap 'exit 1' HUP INT TERM

mirrors >"$work/sources.list"
if [ ! -s "$work/sources.list" ] || ! command -v mmdebstrap >/dev/null; then
	say "fetching apt's package lists"
	apt-get update -q 9>&- >"$work/log" 2>&1 || { cat "$work/log" >&2; die "apt-get update failed; is there a network?"; }
	mirrors >"$work/sources.list"
fi
[ -s "$work/sources.list" ] || die "apt knows no Debian mirror; see /etc/apt/sources.list*"
if ! command -v mmdebstrap >/dev/null; then
	say "installing mmdebstrap"
	apt-get install -qy --no-install-recommends mmdebstrap 9>&- >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; die "cannot install mmdebstrap; try apt-get install mmdebstrap"; }
fi

say "unpacking $packages (half a minute with a near mirror)"
# extract: nothing is configured, no maintainer script runs.
mmdebstrap --quiet --variant=extract --format=directory \
	--include="$(echo "$packages" | tr -s ' \n\t' ',')" \
	--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
	--aptopt='APT::Install-Recommends "false"' \
	"$codename" "$work/root" "$work/sources.list" 9>&- >"$work/log" 2>&1 ||
	{ cat "$work/log" >&2; die "mmdebstrap failed"; }

cd "$work/root"
# Which version of what lies here: nothing else in it tells later.
for p in $packages; do
	for log in usr/share/doc/"$p"/changelog.Debian*.gz; do
		[ ! -e "$log" ] || gzip -dc "$log" | sed -n "1s/^[^(]*(\\([^)]*\\)).*/$p \\1/p"
	done
done >packages
# shellcheck disable=SC2086
rm -rf $useless dev
# shellcheck disable=SC2086
mkdir -p $mount_points
# The files that lithos mounts its own over (requirements I3, I4).
rm -f etc/hosts etc/resolv.conf
: >etc/hosts
: >etc/resolv.conf
printf 'root:x:0:0:root:/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n' >etc/passwd
printf 'root:x:0:\nwww-data:x:33:\n' >etc/group
ln -sf busybox usr/bin/sh
configs .
cd "$out"

rm -f "$name.stamp"
if [ -e "$name" ]; then
	mv "$name" "$work/old"
fi
mv "$work/root" "$name"
chmod 0755 "$name"
echo "$stamp" >"$name.stamp"
say "$out/$name is ready ($(du -sm "$name" | cut -f1) MB)"
