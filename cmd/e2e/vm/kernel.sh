#!/bin/bash
# Brings Debian's cloud kernel into build/vm/kernel without installing it, and packs the initramfs that finds the disks.
# Neither the network nor apt is touched while build/vm/kernel is there; remove it to get a newer kernel.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need dpkg-deb busybox cpio
kernel=$vm/kernel

fetch_kernel() {
	need apt-get apt-cache
	local package version
	package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n1)
	[ -n "$package" ] || die "apt knows no linux-image-cloud-amd64; run apt-get update (on a Debian with the main archive)"
	say "fetching $package"
	rm -rf "$kernel" && mkdir -p "$kernel/deb"
	# The sandbox user of apt cannot write below /root or a private checkout.
	(cd "$kernel/deb" && apt-get -qq -o APT::Sandbox::User=root download "$package") ||
		die "cannot download $package; run apt-get update, and look at the network"
	dpkg-deb -x "$kernel"/deb/*.deb "$kernel"
	rm -rf "${kernel:?}/deb" "${kernel:?}/usr"
	cp "$kernel"/boot/vmlinuz-* "$kernel/vmlinuz"
	version=$(basename "$kernel"/lib/modules/*)
	busybox depmod -b "$kernel" "$version"
	echo "$version" >"$kernel/version" # the last step: who finds it finds a whole kernel
}

# copy_modules ROOT NAME...: these modules with all that they depend on.
copy_modules() {
	local root=$1 version tree name file
	shift
	version=$(cat "$kernel/version")
	tree=$kernel/lib/modules/$version
	mkdir -p "$root/lib/modules/$version"
	cp "$tree/modules.dep" "$tree/modules.alias" "$tree/modules.symbols" "$tree/modules.builtin" "$root/lib/modules/$version/"
	for name; do
		if grep -q "/$name\.ko" "$tree/modules.builtin"; then
			continue
		fi
		grep -q "/$name\.ko:" "$tree/modules.dep" || die "kernel $version has no module $name"
		for file in $(grep "/$name\.ko:" "$tree/modules.dep" | tr -d :); do
			install -D -m 644 "$tree/$file" "$root/lib/modules/$version/$file"
		done
	done
}

# The initramfs only loads the disk's driver and hands over: the suite needs a root that pivot_root can leave, which
# the kernel's first file system is not.
pack_initramfs() {
	local root=$kernel/initramfs name
	rm -rf "$root" && mkdir -p "$root"/{bin,dev,proc,sys,newroot}
	cp "$(command -v busybox)" "$root/bin/busybox"
	for name in sh mount modprobe switch_root sleep echo; do
		ln -s busybox "$root/bin/$name"
	done
	copy_modules "$root" virtio_pci virtio_blk virtio_console
	install -m 755 "$here/guest/initramfs" "$root/init"
	(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) >"$kernel/initramfs.cpio"
}

[ -e "$kernel/version" ] || fetch_kernel
pack_initramfs
rm -rf "$kernel/guest-modules"
# What the containers of the suite may ask the kernel to load on demand.
copy_modules "$kernel/guest-modules" overlay loop veth bridge dummy fuse
say "kernel $(cat "$kernel/version")"
