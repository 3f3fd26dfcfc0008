#!/usr/bin/env bash
# unbound 1.17.1 (Debian 12) takes listening sockets by LISTEN_FDS only where
# sd_booted(3) is true, which is where the directory /run/systemd/system exists,
# also with "use-systemd: yes". sd_listen_fds(3) does not ask for that: any
# supervisor may pass sockets. In a container or under another init unbound says
# nothing, tries to open the port itself and ends, as the port is taken.
#
# Seen:
#   without /run/systemd/system: exit 1, on the passed socket: False
#   with /run/systemd/system: exit 0, on the passed socket: True
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "root is needed, for a mount namespace"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
(cd "$dir" && apt-get download -qq unbound=1.17.1-2+deb12u4 libprotobuf-c1 libhiredis0.14 libnghttp2-14 libpython3.11 libevent-2.1-7 2>/dev/null &&
	for package in *.deb; do dpkg -x "$package" root; done)
cat >"$dir/try.py" <<'EOF'
import os, signal, socket, struct, subprocess, sys, time
directory = sys.argv[1]
question = struct.pack(">HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\4name\4test\0" + struct.pack(">HH", 1, 1)

def answered(address):
    try:
        with socket.create_connection(address, 1) as client:
            client.settimeout(1)
            client.sendall(struct.pack(">H", len(question)) + question)
            return len(client.recv(100)) > 0
    except OSError:
        return False

def run(words):
    held = os.open("/dev/null", os.O_RDONLY)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with open(directory + "/unbound.conf", "w") as config:
        config.write(f"server:\n interface: 127.0.0.1\n port: {port}\n do-udp: no\n do-daemonize: no\n username: ''\n chroot: ''\n"
                     f" directory: {directory}\n pidfile: ''\n use-syslog: no\n use-systemd: yes\n local-data: 'name.test. A 192.0.2.1'\n"
                     "remote-control:\n control-enable: no\n")
    pid = os.fork()
    if pid == 0:
        high = os.dup(listener.fileno())
        os.dup2(high, 3, inheritable=True)
        os.dup2(os.open(directory + "/log", os.O_WRONLY | os.O_CREAT), 2)
        os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
        os.environ["LD_LIBRARY_PATH"] = directory + "/root/usr/lib/x86_64-linux-gnu"
        os.execl(directory + "/root/usr/sbin/unbound", "unbound", "-d", "-c", directory + "/unbound.conf")
    served, status = False, (0, 0)
    end = time.monotonic() + 20
    while time.monotonic() < end and not served and not status[0]:
        served = answered(("127.0.0.1", port))
        status = os.waitpid(pid, os.WNOHANG)
    if not status[0]:
        os.kill(pid, signal.SIGTERM)
        status = os.waitpid(pid, 0)
    print(f"{words} /run/systemd/system: exit {os.waitstatus_to_exitcode(status[1])}, on the passed socket: {served}", flush=True)
    listener.close()
    os.close(held)

run("without")
os.makedirs("/run/systemd/system")
run("with")
EOF
# shellcheck disable=SC2016
timeout 90 unshare --mount sh -c 'mount -t tmpfs none /run && exec python3 "$1/try.py" "$1"' sh "$dir" | tee "$dir/out"
diff - "$dir/out" <<'EOF'
without /run/systemd/system: exit 1, on the passed socket: False
with /run/systemd/system: exit 0, on the passed socket: True
EOF
