#!/usr/bin/env bash
# Installs, upgrades, removes and purges the package in a clean Debian, and
# looks at what is there after each step. Then walks through docs/tutorial.md in
# another one, and says how long a newcomer's way took.
#
#   usage: packaging/test.sh [package|tutorial]      (default both)
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

die() {
	echo "packaging test: FAILED: $*" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || die "root is needed"
tar=$(packaging/root.sh)
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

# inside ROOT COMMAND...: with the machine's /sys and /dev, processes and a network
# of its own, and the directory as the root, not by chroot: what runs there makes
# containers. Nothing mounted is left.
inside() {
	local root=$1
	shift
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount --net --pid --fork --kill-child --propagation private sh -eu -c '
		root=$1
		shift
		mount --bind "$root" "$root"
		for dir in sys dev; do mount --rbind "/$dir" "$root/$dir"; done
		mount -t proc proc "$root/proc"
		mount -t tmpfs tmpfs "$root/run"
		ip link set lo up 2>/dev/null || busybox ip link set lo up
		cd "$root"
		mkdir -p .old
		pivot_root . .old
		umount -l /.old
		rmdir /.old 2>/dev/null || true
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb DEBIAN_FRONTEND=noninteractive "$@"
	' sh "$root" "$@"
}

unpack() {
	mkdir -p "$1"
	tar --extract --file "$tar" --directory "$1" --exclude './dev/*'
	# As the installer writes them.
	echo '127.0.0.1 localhost' >"$1/etc/hosts"
	[ -e "$1/etc/resolv.conf" ] || touch "$1/etc/resolv.conf"
	# It is thrown away: nothing has to reach the disk.
	echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/test"
}

# packages makes two, of which the second is the newer.
packages() {
	export BIN=bin OUT=$work COMPRESSION='-Zgzip -z1' GZIP_LEVEL=1
	old=$(DEB_VERSION=1.0~test1 packaging/build.sh deb)
	new=$(DEB_VERSION=1.0~test2 packaging/build.sh deb)
	again=$(DEB_VERSION=1.0~test2 OUT=$work/again packaging/build.sh deb)
	cmp "$new" "$again" || die "two builds of the same are not the same bytes"
	tarball=$(packaging/build.sh tar)
	again=$(OUT=$work/again packaging/build.sh tar)
	cmp "$tarball" "$again" || die "two builds of the same tarball are not the same bytes"
}

package() {
	local root=$work/package
	unpack "$root"
	cp "$old" "$root/old.deb"
	cp "$new" "$root/new.deb"
	cp packaging/inside.sh "$root/inside.sh"
	inside "$root" /bin/sh /inside.sh "$(bin/lithos_tree --version)"
	mkdir "$work/tarball"
	tar --extract --file "$tarball" --directory "$work/tarball" --strip-components=1
	for program in bin/lithos_*; do
		[ "$("$work/tarball/$program" --version)" = "$("$program" --version)" ] || die "$program of the tarball has another version"
	done
	echo "packaging test: the package is installed, upgraded, removed and purged as it should"
}

tutorial() {
	local root=$work/tutorial
	unpack "$root"
	cp "$new" "$root/root/lithos.deb"
	cp build/examples/walk "$root/usr/local/bin/"
	# Whatever happens, no container of it outlives the test.
	inside "$root" /bin/sh -c '
		status=0
		/usr/local/bin/walk -q || status=$?
		if [ "$status" -ne 0 ]; then tail -n 5 /var/log/lithos/*.log /var/log/lithos/stderr/*.log; fi
		pid=$(cat /run/lithos/master.pid) && kill "$pid" && while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
		exit "$status"' <docs/tutorial.md
}

packages
case "${1:-both}" in
package) package ;;
tutorial) tutorial ;;
both)
	package
	tutorial
	;;
*) die "usage: packaging/test.sh [package|tutorial]" ;;
esac
