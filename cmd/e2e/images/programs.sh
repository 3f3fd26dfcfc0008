#!/bin/sh
# Builds the image for the programs of examples/programs: build/images/programs
# with those that have `ci: true`, from Debian's packages alone, or with "all"
# build/images/programs-all, where each program of PyPI, npm, Maven, Go and crates
# has a directory /opt/NAME. Those need pip, npm, mvn, go or cargo here.
#
#   usage: cmd/e2e/images/programs.sh [all]
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
rows=$here/../../../examples/programs
out=${IMAGES:-$here/../../../build/images}
image=programs${1:+-all}
mkdir -p "$out"
out=$(cd "$out" && pwd)

say() { echo "images: $*"; }
die() { echo "images: $*" >&2; exit 1; }

# list KEY FILE...: what the files have in `KEY: [A, B]`.
list() {
	key=$1
	shift
	sed -n "s/^$key: \[\(.*\)\]\$/\1/p" "$@" | tr ',' '\n' | tr -d " \"'" | sort -u
}

if [ "$image" = programs ]; then
	files=$(grep -l '^ci: true' "$rows"/*.yaml)
else
	files=$(ls "$rows"/*.yaml)
fi
# shellcheck disable=SC2046,SC2086
"$here/build.sh" "$out" "$image" $(list debian $files)
root=$out/$image

# The scripts of some packages want these. Links to busybox stand for what is in
# Debian's essential packages, which an extracted image does not have.
for applet in $("$root/usr/bin/busybox" --list); do
	[ -e "$root/usr/bin/$applet" ] || [ -e "$root/usr/sbin/$applet" ] || [ -L "$root/usr/bin/$applet" ] ||
		ln -s busybox "$root/usr/bin/$applet"
done
[ -e "$root/var/run" ] || ln -s /run "$root/var/run"
cat >"$root/etc/passwd" <<-EOF
	root:x:0:0:root:/root:/bin/sh
	www-data:x:33:33::/:/bin/sh
	sshd:x:100:65534::/run/sshd:/bin/false
	postfix:x:101:101::/:/bin/false
	nobody:x:65534:65534::/:/bin/false
EOF
cat >"$root/etc/group" <<-EOF
	root:x:0:
	tty:x:5:
	www-data:x:33:
	postfix:x:101:
	postdrop:x:102:
	crontab:x:103:
	nogroup:x:65534:
EOF
[ "$image" = programs-all ] || exit 0

# Kept beside the image, which is made anew when Debian's packages change.
opt=$out/programs-opt
mkdir -p "$opt"

# add FILE KEY COMMAND...: runs it in the directory of a program, with what to
# install as its arguments, unless that was installed before.
add() {
	file=$1 key=$2
	shift 2
	what=$(list "$key" "$file")
	[ -n "$what" ] || return 0
	dir=$opt/$(basename "$file" .yaml)
	[ "$(cat "$dir/.$key" 2>/dev/null)" != "$what" ] || return 0
	say "installing $(echo "$what" | tr '\n' ' ')into $dir"
	mkdir -p "$dir"
	# shellcheck disable=SC2086
	(cd "$dir" && "$@" $what) >"$out/.$image.log" 2>&1 || { cat "$out/.$image.log" >&2; die "cannot install $what"; }
	echo "$what" >"$dir/.$key"
}

# For the Python of the image, not the one that is here.
pypi() {
	pip3 install --quiet --disable-pip-version-check --root-user-action=ignore --target . --platform manylinux2014_x86_64 \
		--platform manylinux_2_28_x86_64 --platform any --python-version 3.11 --implementation cp --only-binary=:all: --upgrade "$@"
}
npm_() { npm install --silent --no-audit --no-fund --prefix . "$@"; }
maven() {
	for artifact; do
		mvn --quiet --batch-mode dependency:copy -Dartifact="$artifact" -DoutputDirectory=.
	done
}
go_() { GOBIN=$PWD CGO_ENABLED=0 go install "$@"; }
crate() { cargo install --quiet --root . "$@"; }

for file in $files; do
	add "$file" pypi pypi
	add "$file" npm npm_
	add "$file" maven maven
	add "$file" go go_
	add "$file" crate crate
done
rm -rf --one-file-system "$root/opt"
cp -al "$opt" "$root/opt"
say "$root is ready ($(du -sm "$root" | cut -f1) MB)"
