#!/usr/bin/env bash
# cheroot 11.1.2 (the server of CherryPy) takes descriptor 3 as its listening
# socket whenever LISTEN_PID is set, whatever it says, and without LISTEN_FDS.
# sd_listen_fds(3) has the number be compared with one's own pid, since the
# variables are inherited by every descendant: a program with cheroot that a
# socket-activated parent starts serves on the parent's socket, not at the
# address that it was given, and says nothing.
#
# Seen:
#   LISTEN_PID is the parent's: it serves on the socket that was inherited
#   LISTEN_PID is not set: it serves on its own address
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
pip3 install -q --disable-pip-version-check --root-user-action=ignore --target "$dir/lib" cheroot==11.1.2
cat >"$dir/child.py" <<'EOF'
import sys
from cheroot import wsgi
server = wsgi.Server(("127.0.0.1", 0), lambda environ, start_response: [])
server.prepare()
print("on the socket that was inherited" if str(server.socket.getsockname()[1]) == sys.argv[1] else "on its own address")
server.stop()
EOF
cat >"$dir/try.py" <<'EOF'
import os, socket, subprocess, sys
directory = sys.argv[1]
listener = socket.create_server(("127.0.0.1", 0))
os.dup2(listener.fileno(), 3)
for words, pid in (("is the parent's", str(os.getpid())), ("is not set", None)):
    environ = {**os.environ, "PYTHONPATH": directory + "/lib"}
    if pid:
        environ["LISTEN_PID"], environ["LISTEN_FDS"] = pid, "1"
    where = subprocess.check_output([sys.executable, directory + "/child.py", str(listener.getsockname()[1])], env=environ,
                                    pass_fds=[3], text=True).strip()
    print(f"LISTEN_PID {words}: it serves {where}")
EOF
timeout 60 python3 "$dir/try.py" "$dir" | tee "$dir/out"
diff - "$dir/out" <<'EOF'
LISTEN_PID is the parent's: it serves on the socket that was inherited
LISTEN_PID is not set: it serves on its own address
EOF
