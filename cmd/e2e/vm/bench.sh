#!/bin/bash
# make bench-vm: benchmarks, RUN of them, in the virtual machine of run.sh: ours beside the limit where there is cgroup
# version 2 only. The processor is emulated: what compares is the ratio of the two, not the time.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need qemu-system-x86_64 busybox mke2fs cpio dpkg-deb cc
cd "$repo"
bin_dir=${LITHOS_BIN:-$repo/bin}
work=$vm/bench
[ -x "$bin_dir/lithos_tree" ] || die "there is no $bin_dir/lithos_tree; run make build first"

mkdir -p "$work"
"$here/kernel.sh"
stage_host "$work/root" "$bin_dir"
CGO_ENABLED=0 go build -trimpath -o "$work/root/lithos/bench" ./bench
mkdir "$work/root/lithos/built"
"$work/root/lithos/bench" -compile "$work/root/lithos/built"
: >"$work/root/lithos/suite"
printf 'MEASURE=%q\n' "${RUN:-^(start|latency)$}" >"$work/root/lithos/settings"
rm -rf "$work/nothing"
mkdir "$work/nothing"
make_disk "$work/root.img" "$work/root" 512 lithos-root
make_disk "$work/nothing.img" "$work/nothing" 8 lithos-nothing
LITHOS_VM_LOGS=$work "$here/boot.sh" "$work/root.img" "$work/nothing.img"
