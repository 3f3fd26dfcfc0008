#!/bin/sh
# What packaging/test.sh does in a clean Debian, with old.deb and new.deb in its
# root directory. Its argument is the version that all programs have to tell.
set -eu
version=$1

die() {
	echo "packaging test: FAILED: $*" >&2
	exit 1
}
have() { for f; do [ -e "$f" ] || die "$f is missing"; done; }
gone() { for f; do [ ! -e "$f" ] || die "$f is still there"; done; }
quiet() { "$@" >/tmp/out 2>&1 || { cat /tmp/out >&2; die "$*"; }; }

# What a Debian says that starts services by itself is of no matter here.
quiet apt-get install -y --no-install-recommends /old.deb
have /usr/bin/lithos_tree /usr/bin/lithos_knot
for program in /usr/bin/lithos_*; do
	[ "$("$program" --version)" = "$version" ] || die "$program has another version than $version"
done
have /etc/lithos/master.yaml /etc/lithos/sandboxes /etc/lithos/processes /var/lib/lithos/containers /var/log/lithos
[ -c /var/lib/lithos/dev/null ] || die "the devices were not made"
[ "$(stat -c %a /var/lib/lithos/containers)" = 711 ] || die "others can look into the images"
grep -q '^github.com/vishvananda/netlink v' /usr/share/doc/lithos/copyright || die "the licences of what is linked in are missing"
quiet lithos_check
quiet systemd-analyze --man=no verify /usr/lib/systemd/system/lithos.service
[ ! -s /tmp/out ] || die "systemd-analyze says: $(cat /tmp/out)"
systemctl is-enabled --quiet lithos.service || die "the service is not enabled"
# As needrestart reads it.
perl -we 'our %nrconf; eval do { local (@ARGV, $/) = "/etc/needrestart/conf.d/lithos.conf"; <> }; die $@ if $@;
	exit !grep { "lithos.service" =~ /$_/ && $nrconf{override_rc}{$_} == 0 } keys %{$nrconf{override_rc}}' ||
	die "needrestart would restart the service, and with it the containers"
for program in /usr/bin/lithos_*; do
	name=${program##*/}
	have "/usr/share/man/man8/$name.8.gz"
	gzip -t "/usr/share/man/man8/$name.8.gz"
	[ "$name" != lithos_knot ] || continue
	have "/usr/share/bash-completion/completions/$name" "/usr/share/zsh/vendor-completions/_$name" \
		"/usr/share/fish/vendor_completions.d/$name.fish"
	quiet bash -n "/usr/share/bash-completion/completions/$name"
done
dpkg --verify lithos || die "files are not those of the package"

# An upgrade keeps what the operator changed, and what runs (its files).
echo '# mine' >>/etc/lithos/master.yaml
mkdir -p /var/lib/lithos/containers/app.v1
echo 'allow-users: [1]' >/etc/lithos/sandboxes/app.yaml
quiet apt-get install -y --no-install-recommends /new.deb
[ "$(dpkg-query -f '${Version}' -W lithos)" = 1.0~test2 ] || die "the upgrade was none"
grep -q '^# mine' /etc/lithos/master.yaml || die "the upgrade replaced the master config"
have /etc/lithos/sandboxes/app.yaml /var/lib/lithos/containers/app.v1 /var/lib/lithos/dev/null
systemctl is-enabled --quiet lithos.service || die "the service is not enabled after the upgrade"

# What is disabled stays so.
quiet systemctl disable lithos.service
quiet dpkg --install /old.deb
! systemctl is-enabled --quiet lithos.service || die "a downgrade enabled the service again"

quiet apt-get remove -y lithos
gone /usr/bin/lithos_tree /usr/lib/systemd/system/lithos.service
have /etc/lithos/master.yaml /etc/lithos/sandboxes/app.yaml /var/lib/lithos/containers/app.v1
quiet apt-get purge -y lithos
gone /etc/lithos/master.yaml /var/lib/lithos/dev /var/log/lithos /etc/systemd/system/multi-user.target.wants/lithos.service
have /etc/lithos/sandboxes/app.yaml /var/lib/lithos/containers/app.v1
