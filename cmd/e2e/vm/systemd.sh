#!/bin/bash
# make test-systemd: the Debian package on a booted Debian, with systemd as PID 1 and cgroup version 2 only, in the
# virtual machine of run.sh. What is done there, guest/systemd tells. Needs root, to unpack a Debian.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need qemu-system-x86_64 busybox mke2fs cpio dpkg-deb mmdebstrap
[ "$(id -u)" = 0 ] || die "root is needed, to unpack a Debian with its owners"
cd "$repo"
limit=${LITHOS_VM_LIMIT:-600} # seconds, for each of the two boots
started=$SECONDS
bin_dir=${LITHOS_BIN:-$repo/bin}
work=$vm/systemd
[ -x "$bin_dir/lithos_tree" ] || die "there is no $bin_dir/lithos_tree; run make build first"

# A clean Debian, as packaging/test.sh takes it, that runs our checks when it has started.
stage_root() {
	local tar
	tar=$("$repo/packaging/root.sh")
	rm -rf --one-file-system "$work/root"
	mkdir -p "$work/root"
	tar --extract --file "$tar" --directory "$work/root" --exclude './dev/*'
	cp -r "$vm/kernel/guest-modules/lib/modules" "$work/root/usr/lib/"
	ln -sf /lib/systemd/systemd "$work/root/sbin/init"
	echo lithos-systemd >"$work/root/etc/hostname"
	echo '127.0.0.1 localhost lithos-systemd' >"$work/root/etc/hosts"
	: >"$work/root/etc/resolv.conf"
	echo 0123456789abcdef0123456789abcdef >"$work/root/etc/machine-id"
	# It is thrown away: nothing has to reach the disk.
	echo force-unsafe-io >"$work/root/etc/dpkg/dpkg.cfg.d/test"
	# Images and logs on a file system of its own, which boot has to mount first.
	mkdir -p "$work/root/srv/lithos" "$work/root/var/lib/lithos" "$work/root/var/log/journal" "$work/root/medium"
	{
		echo '/dev/vda / ext4 defaults 0 0'
		echo '/srv/lithos /var/lib/lithos none bind 0 0'
	} >"$work/root/etc/fstab"
	install -m 755 "$here/guest/systemd" "$work/root/usr/local/bin/lithos-test"
	cp "$here"/guest/*.service "$work/root/etc/systemd/system/"
	mkdir -p "$work/root/etc/systemd/system/multi-user.target.wants"
	ln -s ../lithos-test.service ../lithos-test-end.service "$work/root/etc/systemd/system/multi-user.target.wants/"
	# There is nobody to log in.
	ln -s /dev/null "$work/root/etc/systemd/system/serial-getty@.service"
	ln -s /dev/null "$work/root/etc/systemd/system/getty@.service"
	ln -s /dev/null "$work/root/etc/systemd/system/getty-static.service"
}

# package VERSION: with programs that tell it.
package() {
	local programs=$work/programs
	rm -rf "$programs"
	cp -r "$bin_dir" "$programs"
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-X main.version=$1" -o "$programs/" ./cmd/lithos_tree
	BIN=$programs OUT=$work/medium COMPRESSION='-Znone' DEB_VERSION=$1 packaging/build.sh deb >/dev/null
	mv "$work/medium/lithos_$1_"*.deb "$work/medium/lithos-$1.deb"
}

# What a user brings: packages, an image and configs. On a disk of its own.
stage_medium() {
	local image=$work/medium/image
	rm -rf "$work/medium"
	mkdir -p "$image"/{bin,config,dev,proc,sys,tmp,etc,var/lib/hello}
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$image/bin/" ./examples/hello
	cp "$(command -v busybox)" "$image/bin/busybox"
	ln -s busybox "$image/bin/sh"
	ln -s busybox "$image/bin/sleep"
	cp examples/hello/hello.yaml "$image/config/"
	cp "$here"/guest/configs/* "$work/medium/"
	mv "$work/medium/stubborn.yaml" "$image/config/"
	package 1.0~test1
	package 1.0~test2
}

mkdir -p "$work"
"$here/kernel.sh"
stage_root
stage_medium
make_disk "$work/root.img" "$work/root" 512 lithos-root
make_disk "$work/medium.img" "$work/medium" 0 lithos-medium
say "built in $((SECONDS - started)) s; systemd boots (limit $limit s a boot)"
export LITHOS_VM_LIMIT=$limit
# On a busy host the processors' time tells more than the clock's.
TIMEFORMAT='test-systemd: this boot took %R s, and %U s of the processors'
for boot in 1 2; do
	result=0
	mkdir -p "$work/boot$boot"
	time LITHOS_VM_LOGS=$work/boot$boot "$here/boot.sh" "$work/root.img" "$work/medium.img" || result=$?
	[ "$result" -eq 0 ] || break
done
say "ended after $((SECONDS - started)) s with exit status $result"
exit "$result"
