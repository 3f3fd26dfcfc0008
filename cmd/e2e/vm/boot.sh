#!/bin/bash
# boot.sh ROOT_DISK SECOND_DISK: starts the virtual machine, streams what the guest writes, and exits with the guest's
# status. Without a status from the guest (panic, hang, a qemu that fails) it exits with 1 and a sentence.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

root=$1 second=$2
logs=${LITHOS_VM_LOGS:-$vm} # where output.log and kernel.log are written
limit=${LITHOS_VM_LIMIT:-2100} # seconds, from the start of qemu
qemu=${LITHOS_QEMU:-qemu-system-x86_64}
need "$qemu"

# qemu64: the newer models have ERMS, and qemu emulates its "rep movsb" byte by byte; an exec of a Go program takes
# twice as long. tsc=reliable: else the clock is the HPET, and reading it leaves the emulated code.
cpu=qemu64
append="console=ttyS0 quiet panic=-1 oops=panic cgroup_no_v1=all mitigations=off clocksource=tsc tsc=reliable
transparent_hugepage=never rcupdate.rcu_expedited=1 audit=0 ${LITHOS_VM_APPEND:-}"

run=$(mktemp -d "${TMPDIR:-/tmp}/lithos-vm.XXXXXX")
guest=
# shellcheck disable=SC2317 # called by the trap
stop() {
	# timeout(1) passes the signal on to qemu.
	[ -z "$guest" ] || kill "$guest" 2>/dev/null || :
	rm -rf "$run"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkfifo "$run/stdin" "$run/output"
: >"$run/status"
tee "$logs/output.log" <"$run/output" &
output=$!
# The serial device stands before the disks: the guest finds its ports as vport0p1 and vport0p2.
# Its standard input never ends (opened for both directions): qemu would close the port at its end.
timeout -k 5 "$limit" "$qemu" -M pc -accel "${LITHOS_VM_ACCEL:-tcg,thread=multi}" -cpu "$cpu" -smp 2 -m "${LITHOS_VM_MEMORY:-3G}" \
	-nodefaults -no-user-config -display none -no-reboot \
	-kernel "$vm/kernel/vmlinuz" -initrd "$vm/kernel/initramfs.cpio" -append "${append//$'\n'/ }" \
	-device virtio-serial-pci \
	-drive "if=none,id=root,file=$root,format=raw,cache=unsafe,discard=unmap" -device virtio-blk-pci,drive=root \
	-drive "if=none,id=images,file=$second,format=raw,readonly=on" -device virtio-blk-pci,drive=images \
	-chardev "file,id=kernel,path=$logs/kernel.log" -serial chardev:kernel \
	-chardev stdio,id=output,signal=off -device virtserialport,nr=1,chardev=output,name=output \
	-chardev "file,id=status,path=$run/status" -device virtserialport,nr=2,chardev=status,name=status \
	<>"$run/stdin" >"$run/output" &
guest=$!
result=0
wait "$guest" || result=$?
guest=
wait "$output" || :

status=$(sed -n 's/^exit \([0-9][0-9]*\)$/\1/p' "$run/status" | tail -n1)
if [ -n "$status" ]; then
	exit "$status"
fi
step=$(sed -n 's/^step //p' "$run/status" | tail -n1)
if [ -s "$logs/kernel.log" ]; then
	echo "test-vm: the last lines of the guest's console ($logs/kernel.log):" >&2
	tail -n 40 "$logs/kernel.log" >&2
fi
case $result in
124 | 137) die "the guest was stopped at the time limit of $limit s while ${step:-booting}" ;;
0) die "the guest ended without a status (a kernel panic, or the machine was reset) while ${step:-booting}" ;;
*) die "qemu failed with exit status $result while ${step:-booting}" ;;
esac
