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
