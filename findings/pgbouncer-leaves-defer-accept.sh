#!/usr/bin/env bash
# PgBouncer 1.18.0 (Debian 12) sets TCP_DEFER_ACCEPT on the listening socket that
# it takes by LISTEN_FDS, where a client speaks first. It stays on the socket when
# PgBouncer has ended. A successor whose clients wait for a greeting, as those of
# SMTP, SSH and MySQL do, then gets each connection only after seconds, when the
# kernel has sent its SYN-ACK again; neither its code nor its config says why.
# setsockopt(TCP_DEFER_ACCEPT, 0) before listening helps.
#
# Seen:
#   before: TCP_DEFER_ACCEPT 0
#   after: TCP_DEFER_ACCEPT set: True
#   a greeting comes within 0.5 s: False
#   with TCP_DEFER_ACCEPT 0 again: True
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
(cd "$dir" && apt-get download -qq pgbouncer=1.18.0-1+deb12u1 libc-ares2 libevent-2.1-7 2>/dev/null &&
	for package in *.deb; do dpkg -x "$package" root; done)
cat >"$dir/pgbouncer.ini" <<'EOF'
[databases]
* = host=127.0.0.1 port=9
[pgbouncer]
listen_addr = 127.0.0.1
unix_socket_dir =
auth_type = any
EOF
cat >"$dir/try.py" <<'EOF'
import os, socket, subprocess, sys, time
directory = sys.argv[1]
held = os.open("/dev/null", os.O_RDONLY)  # 3, which is the listener's in the child
listener = socket.create_server(("127.0.0.1", 0))

def deferred():
    return listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT)

def greeted():
    client = socket.create_connection(listener.getsockname())
    listener.settimeout(0.5)
    try:
        listener.accept()[0].sendall(b"hello")
        return client.recv(9) == b"hello"
    except TimeoutError:
        return False
    finally:
        client.close()

def activate():
    high = os.dup(listener.fileno())
    os.dup2(high, 3, inheritable=True)
    os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
    os.environ["LD_LIBRARY_PATH"] = directory + "/root/usr/lib/x86_64-linux-gnu"
    os.setgid(65534)
    os.setuid(65534)  # it does not run as root
    os.execl(directory + "/root/usr/sbin/pgbouncer", "pgbouncer", "-q", directory + "/pgbouncer.ini")

print("before: TCP_DEFER_ACCEPT", deferred())
pid = os.fork()
if pid == 0:
    activate()
end = time.monotonic() + 20
while not deferred() and time.monotonic() < end:
    time.sleep(0.05)
os.kill(pid, 15)
os.waitpid(pid, 0)
print("after: TCP_DEFER_ACCEPT set:", deferred() > 0)
print("a greeting comes within 0.5 s:", greeted())
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 0)
listener.settimeout(10)
listener.accept()[0].close()  # the connection before
print("with TCP_DEFER_ACCEPT 0 again:", greeted())
EOF
timeout 60 python3 "$dir/try.py" "$dir" | tee "$dir/out"
diff - "$dir/out" <<'EOF'
before: TCP_DEFER_ACCEPT 0
after: TCP_DEFER_ACCEPT set: True
a greeting comes within 0.5 s: False
with TCP_DEFER_ACCEPT 0 again: True
EOF
