#!/bin/bash
# make test-vm: the tests that face the kernel, of the packages and of the e2e suite, in a virtual machine with Debian's
# stock kernel and nothing but cgroup v2. README.md tells what it needs and which variables it takes.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need qemu-system-x86_64 busybox mke2fs cpio dpkg-deb
cd "$repo"
limit=${LITHOS_VM_LIMIT:-2100}
all=${ALL:-}${RUN:-}${PACKAGES:-} # who says what to run gets all of it
started=$SECONDS

bin_dir=${LITHOS_BIN:-$repo/bin} images_dir=${LITHOS_IMAGES:-$repo/build/images}

# Only the suite needs programs and images: PACKAGES=./sysx/mount works in a fresh clone.
check_inputs() {
	if grep -qxE "cmd/e2e(/attack)?" "$vm/suite"; then
		[ -x "$bin_dir/lithos_tree" ] || die "there is no $bin_dir/lithos_tree; run make build first"
		[ -d "$images_dir" ] || die "there is no $images_dir; run make images first"
	fi
	[ -d "$bin_dir" ] || mkdir -p "$bin_dir"
	[ -d "$images_dir" ] || mkdir -p "$images_dir"
}

# The packages whose tests run inside, by their folders: all that call the kernel, then the suite.
list_packages() {
	local -a patterns
	read -r -a patterns <<<"${PACKAGES:-./sysx/... ./spawn ./spawn/knot ./cmd/lithos_tree/sigdefer ./cmd/e2e ./cmd/e2e/attack}"
	go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' "${patterns[@]}" | sed "s,^$repo/,," |
		grep -vxF "$(elsewhere package)"
}

# elsewhere KIND: the packages or tests that are not for this run, a line each.
elsewhere() {
	[ -n "$all" ] || sed -n "s/^$1 //p" "$here/elsewhere"
}

# Programs that tests build for themselves on a machine with Go: those in their testdata, and ours that they name.
build_helpers() {
	local built=$1 package dir
	while read -r package; do
		[ ! -d "$package/testdata" ] || find "$package/testdata" -name main.go -printf '%h\n'
		grep -hoE 'lithos/cmd/lithos_[a-z]+' "$package"/*_test.go | cut -d/ -f2- || :
	done <"$vm/suite" | sort -u | while read -r dir; do
		mkdir -p "$built/$(dirname "$dir")"
		local entry=
		[ "$dir/$(go env GOARCH)" != cmd/lithos_knot/amd64 ] || entry='-E lithosKnotEntry' # as the Makefile does
		CGO_ENABLED=0 go build -trimpath -ldflags "$entry" -o "$built/$dir" "./$dir"
	done
}

# The host with our binaries, the test binaries with their testdata.
stage_root() {
	local root=$vm/root package
	stage_host "$root" "$bin_dir"
	install -m 755 "$here/guest/go" "$root/usr/bin/go"
	build_helpers "$root/lithos/built"
	sed "s/^/${LITHOS_VM_CGROUP:-root} /" "$vm/suite" >"$root/lithos/suite"
	if [ -z "${RUN:-}${LITHOS_VM_CGROUP:-}" ] && grep -qx cmd/e2e "$vm/suite"; then
		# What has to do with cgroups a second time, started as systemd starts a daemon.
		echo 'service cmd/e2e ^Test(CgroupNames|DefaultControllers|DaemonRunsInItsOwnSlice|DaemonUsesADelegatedCgroup|LimitsOf|MemoryHog|NameController|NextDaemonAdopts|StandbyEndsWithTheDaemon|TermStops|TermDuringAStart|WithoutCgroups)' >>"$root/lithos/suite"
	fi
	while read -r package; do
		mkdir -p "$root/lithos/src/$package"
		CGO_ENABLED=0 go test -tags guest -c -o "$root/lithos/src/$package/tests" "./$package"
		[ ! -d "$package/testdata" ] || cp -r "$package/testdata" "$root/lithos/src/$package/"
	done <"$vm/suite"
	{
		printf 'LIMIT=%q\nSLOW=%q\nCOUNT=%q\n' "$limit" "${LITHOS_E2E_SLOW:-10}" "${LITHOS_E2E_COUNT:-80}"
		local skip
		skip=$(elsewhere test | paste -sd '|')
		printf 'RUN=%q\nSKIP=%q\n' "${RUN:-}" "${skip:+^Test($skip)}"
	} >"$root/lithos/settings"
}

# The images change seldom and are the bulk of the bytes: their disk is kept until a name, size, time, mode or owner changes.
images_disk() {
	local stamp lock
	exec {lock}>>"$images_dir/.lock" # images/build.sh may be at work
	flock "$lock"
	stamp=$(cd "$images_dir" && find . -printf '%P %y %s %T@ %m %U:%G %l\n' | LC_ALL=C sort | sha256sum)
	if [ ! -e "$vm/images.img" ] || [ "$(cat "$vm/images.stamp" 2>/dev/null)" != "$stamp" ]; then
		say "making the disk of the images"
		make_disk "$vm/images.img" "$images_dir" 0 lithos-images
		echo "$stamp" >"$vm/images.stamp"
	fi
	exec {lock}>&-
}

# What a reader of a long log looks for, once more at its end.
summarise() {
	grep -aE '^guest: (ok  |FAIL|failed)' "$vm/output.log" || :
	sed -nE 's/^ *--- FAIL: ([^ ]*).*/\1/p' "$vm/output.log" | sort | uniq -c | sed -E 's/^ *([0-9]+) /test-vm: failed \1 times: /; s/ 1 times/ once/'
	! grep -aE 'WARNING:|BUG:|rcu_.*detected stalls|blocked for more than' "$vm/kernel.log" ||
		say "the guest's kernel complains: see $vm/kernel.log"
}

mkdir -p "$vm"
list_packages >"$vm/suite"
check_inputs
case ${LITHOS_VM_CGROUP:-root} in
root | service) ;;
*) die "LITHOS_VM_CGROUP is $LITHOS_VM_CGROUP, not root or service" ;;
esac
"$here/kernel.sh"
stage_root
images_disk
make_disk "$vm/root.img" "$vm/root" 2048 lithos-root
say "built in $((SECONDS - started)) s; the virtual machine begins (limit $limit s)"
result=0
# On a busy host the processors' time tells more than the clock's.
TIMEFORMAT='test-vm: the virtual machine took %R s, and %U s of the processors'
time LITHOS_VM_LIMIT=$limit "$here/boot.sh" "$vm/root.img" "$vm/images.img" || result=$?
if [ -n "${RUN:-}" ] && [ "$result" -eq 0 ] && ! grep -aq '^=== RUN' "$vm/output.log"; then
	say "no test matches RUN=$RUN" >&2
	result=1
fi
summarise
say "ended after $((SECONDS - started)) s with exit status $result"
exit "$result"
