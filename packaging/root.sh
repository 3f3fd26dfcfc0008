#!/usr/bin/env bash
# Makes a clean Debian, as somebody has it who has just installed one: what is
# essential, apt and systemd. It is kept as a tar; nothing is made where the
# same script made one already. Prints its name.
#
#   usage: packaging/root.sh [DIRECTORY]      (default build/debian)
set -euo pipefail
umask 022

# What the tutorial wants from Debian besides lithos is installed in advance, so
# that its test needs no network: busybox-static for the image, the others to
# look at things.
packages=systemd,init-system-helpers,ca-certificates,busybox-static,curl,procps,iproute2,openssh-client

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../build/debian}
mkdir -p "$out"
out=$(cd "$out" && pwd)
# shellcheck disable=SC1091
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
tar=$out/$codename-$(sha256sum <"$0" | cut -c1-16).tar
if [ ! -s "$tar" ]; then
	exec 9>"$out/.lock"
	flock 9
fi
if [ ! -s "$tar" ]; then
	# shellcheck disable=SC2016 # apt-get expands these
	sources=$(apt-get indextargets --format '$(ORIGIN)|$(CREATED_BY)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)' |
		sed -n 's/^Debian|Packages|//p' | sort -u)
	[ -n "$sources" ] || { echo "root.sh: apt knows no Debian mirror: apt-get update" >&2; exit 1; }
	rm -f "$out"/*.tar "$out"/*.new
	mmdebstrap --quiet --variant=essential --format=tar --include="apt,$packages" --aptopt='APT::Install-Recommends "false"' \
		"$codename" "$tar.new" - <<<"$sources" >"$out/log" 2>&1 9>&- || { cat "$out/log" >&2; exit 1; }
	mv "$tar.new" "$tar"
fi
echo "$tar"
