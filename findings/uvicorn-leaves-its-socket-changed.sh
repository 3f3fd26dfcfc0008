#!/usr/bin/env bash
# uvicorn 0.54.0, started with --fd, calls listen(2) again on the socket that it
# was given and makes it non-blocking. Both belong to the open file description,
# so they are still there when it has ended: whoever opened the socket, with a
# backlog of 9 and blocking, has another one then, and a successor that calls a
# plain accept(2) gets EAGAIN.
#
# Seen:
#   before: backlog 9, blocking True
#   after: backlog 2048, blocking False
#   accept: BlockingIOError
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
pip3 install -q --disable-pip-version-check --root-user-action=ignore --target "$dir/lib" uvicorn==0.54.0
cat >"$dir/app.py" <<'EOF'
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
EOF
cat >"$dir/try.py" <<'EOF'
import os, socket, subprocess, sys, time

def state(when):
    # The backlog of a listening socket is tcpi_sacked, 28 bytes into TCP_INFO.
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    print(f"{when}: backlog {int.from_bytes(info[28:32], sys.byteorder)}, blocking {os.get_blocking(listener.fileno())}")

listener = socket.create_server(("127.0.0.1", 0), backlog=9)
state("before")
program = subprocess.Popen([sys.executable, "-m", "uvicorn", "--log-level", "critical", "--fd", str(listener.fileno()), "app:app"],
                           pass_fds=[listener.fileno()], env={**os.environ, "PYTHONPATH": sys.argv[1] + "/lib"}, cwd=sys.argv[1])
client = socket.create_connection(listener.getsockname(), timeout=20)
client.sendall(b"GET / HTTP/1.0\r\n\r\n")
assert client.recv(100).startswith(b"HTTP/1.1 200")
program.terminate()
program.wait()
state("after")
try:
    os.close(socket.socket(fileno=os.dup(listener.fileno()))._accept()[0])
except BlockingIOError as error:
    print("accept:", type(error).__name__)
EOF
timeout 60 python3 "$dir/try.py" "$dir" | tee "$dir/out"
diff - "$dir/out" <<'EOF'
before: backlog 9, blocking True
after: backlog 2048, blocking False
accept: BlockingIOError
EOF
