#!/usr/bin/env bash
# gunicorn 27.0.1 sends READY=1 to NOTIFY_SOCKET when its arbiter has opened the
# port, before a worker has loaded the application. One that takes 3 s to import
# is "ready" about 3 s before it answers: a supervisor that ends the old version
# at READY=1 leaves a gap. (With --preload the message comes after the import.)
#
# Seen:
#   default: READY=1 before the application was imported
#   --preload: READY=1 after the application was imported
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
pip3 install -q --disable-pip-version-check --root-user-action=ignore --target "$dir/lib" gunicorn==27.0.1
cat >"$dir/app.py" <<'EOF'
import os, time
time.sleep(3)
open(os.environ["IMPORTED"], "w").close()

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
EOF
cat >"$dir/try.py" <<'EOF'
import os, socket, subprocess, sys
directory = sys.argv[1]

def run(name, *options):
    notify, imported = f"{directory}/{name}.sock", f"{directory}/{name}.imported"
    messages = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    messages.bind(notify)
    messages.settimeout(30)
    program = subprocess.Popen([sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", *options, "app:app"],
                               cwd=directory, stderr=subprocess.DEVNULL,
                               env={**os.environ, "PYTHONPATH": directory + "/lib", "NOTIFY_SOCKET": notify, "IMPORTED": imported})
    while b"READY=1" not in messages.recv(4096):
        pass
    print(f"{name}: READY=1 {'after' if os.path.exists(imported) else 'before'} the application was imported", flush=True)
    program.terminate()
    program.wait()

run("default")
run("--preload", "--preload")
EOF
timeout 90 python3 "$dir/try.py" "$dir" | tee "$dir/out"
diff - "$dir/out" <<'EOF'
default: READY=1 before the application was imported
--preload: READY=1 after the application was imported
EOF
