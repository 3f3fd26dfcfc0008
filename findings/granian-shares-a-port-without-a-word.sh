#!/usr/bin/env bash
# granian 2.8.7 sets SO_REUSEPORT on its listening socket, with one worker, too.
# A second granian on the same address and port starts without an error, and the
# kernel deals new connections out to both: a forgotten old version goes on
# serving a part of the requests. Other servers say "address already in use".
#
# Seen:
#   the second one runs: True
#   answered by: first, second
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
pip3 install -q --disable-pip-version-check --root-user-action=ignore --target "$dir/lib" granian==2.8.7
cat >"$dir/app.py" <<'EOF'
import os

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": os.environ["NAME"].encode()})
EOF
cat >"$dir/try.py" <<'EOF'
import os, socket, subprocess, sys, time, urllib.request
directory = sys.argv[1]
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]

def start(name):
    environ = {**os.environ, "PYTHONPATH": directory + "/lib", "NAME": name}
    program = subprocess.Popen([sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port), "app:app"],
                               cwd=directory, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while "Started worker" not in program.stdout.readline():
        assert program.poll() is None
    return program

programs = [start("first"), start("second")]
print("the second one runs:", programs[1].poll() is None)
answers, end = set(), time.monotonic() + 20
while len(answers) < 2 and time.monotonic() < end:
    answers.add(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode())
print("answered by:", ", ".join(sorted(answers)))
for program in programs:
    program.terminate()
for program in programs:
    program.wait()
EOF
timeout 90 python3 "$dir/try.py" "$dir" | tee "$dir/out"
diff - "$dir/out" <<'EOF'
the second one runs: True
answered by: first, second
EOF
