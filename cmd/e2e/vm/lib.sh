# shellcheck shell=bash disable=SC2034
# Sourced by the scripts of this folder: where things are, and how they speak.

here=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
repo=$(CDPATH='' cd -- "$here/../../.." && pwd)
# Generated files and caches. Another place is for tests of these scripts.
vm=${LITHOS_VM_DIR:-$repo/build/vm}

say() { printf 'test-vm: %s\n' "$*"; }

die() {
	printf 'test-vm: %s\n' "$*" >&2
	exit 1
}

# need PROGRAM...: all of them, or one sentence that names the packages.
need() {
	local program missing=
	for program; do
		command -v "$program" >/dev/null || missing="$missing $program"
	done
	[ -z "$missing" ] || die "cannot find$missing on this host; as root: apt-get install --no-install-recommends $(cat "$here/packages")"
}

# make_disk IMAGE DIRECTORY FREE_MIB LABEL: an ext4 image with the directory's content. ext4 is built into Debian's
# kernel, mke2fs -d needs no mount and no root, and an uncompressed image costs the emulated processor nothing.
make_disk() {
	local image=$1 dir=$2 free=$3 label=$4 used inodes
	used=$(du -s --block-size=1M "$dir" | cut -f1)
	inodes=$(find "$dir" | wc -l)
	rm -f "$image" "$image.new"
	mke2fs -q -F -t ext4 -O ^has_journal -m 0 -L "$label" -N $((inodes + free * 64 + 1024)) \
		-d "$dir" "$image.new" "$((used + used / 8 + free + 32))M" >/dev/null ||
		die "cannot make the disk image $image: mke2fs failed (is the disk full?)"
	mv "$image.new" "$image"
}

# stage_host DIRECTORY PROGRAMS: a plain small host, made anew: busybox, /etc, modules of the kernel, guest/init, and our
# programs.
stage_host() {
	local root=$1 programs=$2 name
	rm -rf "$root"
	mkdir -p "$root"/{bin,sbin,lib,usr/bin,usr/sbin,dev,proc,sys,run,root,etc,var/log,var/lib,lithos/bin,lithos/src,lithos/images}
	mkdir -m 1777 "$root/tmp"
	cp "$(command -v busybox)" "$root/bin/busybox"
	busybox --list | while read -r name; do
		[ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
	done
	# One dynamically linked program, with its loader: tests take it as an example.
	ldd /bin/ls | grep -o '/[^ ]*' | cat - <(echo /bin/ls) | while read -r name; do
		install -D "$(readlink -f "$name")" "$root$name"
	done
	ln -s ../bin/modprobe "$root/sbin/modprobe" # where the kernel looks for it
	cp -r "$vm/kernel/guest-modules/lib/." "$root/lib"
	install -m 755 "$here/guest/init" "$root/sbin/init"
	echo lithos-vm >"$root/etc/hostname"
	printf '127.0.0.1 localhost lithos-vm\n::1 localhost\n' >"$root/etc/hosts"
	echo 'nameserver 127.0.0.1' >"$root/etc/resolv.conf"
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
	cp -r "$programs/." "$root/lithos/bin"
}
