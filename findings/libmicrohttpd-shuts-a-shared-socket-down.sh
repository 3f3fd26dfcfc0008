#!/usr/bin/env bash
# libmicrohttpd 0.9.75 (Debian 12) calls shutdown(2) on the listening socket that
# it was given by MHD_OPTION_LISTEN_SOCKET when MHD_stop_daemon is called, to wake
# its own thread. That ends listening for every process that has the socket, not
# only for the one that stops: connections are refused although another server
# still has it open. MHD_quiesce_daemon before does not help; with MHD_USE_ITC the
# thread is woken by a pipe and the socket stays as it was. listen(2) on any
# descriptor of the socket brings it back to life.
#
# Seen:
#   stop: refused, listening False, after listen(2): connected
#   quiesce and stop: refused, listening False, after listen(2): connected
#   stop with MHD_USE_ITC: connected, listening True, after listen(2): connected
set -euo pipefail
command -v gcc >/dev/null || { echo "gcc is missing: apt-get install gcc libc6-dev"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
(cd "$dir" && apt-get download -qq libmicrohttpd-dev=0.9.75-6 libmicrohttpd12=0.9.75-6 2>/dev/null &&
	for package in *.deb; do dpkg -x "$package" root; done)
lib=$(dirname "$dir"/root/usr/lib/*/libmicrohttpd.so)
cat >"$dir/server.c" <<'EOF'
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum MHD_Result answer(void *own, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
			      const char *data, size_t *size, void **state) {
	(void)own, (void)url, (void)method, (void)version, (void)data, (void)size, (void)state;
	struct MHD_Response *response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return result;
}

int main(int argc, char **argv) {
	int with_itc = argc > 2 && !strcmp(argv[2], "itc"), quiesce = argc > 2 && !strcmp(argv[2], "quiesce");
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | (with_itc ? MHD_USE_ITC : 0), 0, 0, 0, answer, 0,
						     MHD_OPTION_LISTEN_SOCKET, atoi(argv[1]), MHD_OPTION_END);
	if (!daemon)
		return 1;
	if (quiesce)
		MHD_quiesce_daemon(daemon);
	MHD_stop_daemon(daemon);
	return 0;
}
EOF
# Its -dev package wants gnutls where it is linked dynamically; the library itself is enough.
gcc -o "$dir/server" "$dir/server.c" -I "$(dirname "$(find "$dir/root" -name microhttpd.h)")" -L "$lib" -lmicrohttpd -Wl,--unresolved-symbols=ignore-in-shared-libs
cat >"$dir/try.py" <<'EOF'
import os, socket, subprocess, sys

def connects():
    try:
        socket.create_connection(listener.getsockname(), 2).close()
        return "connected"
    except ConnectionRefusedError:
        return "refused"

for words, options in (("stop", []), ("quiesce and stop", ["quiesce"]), ("stop with MHD_USE_ITC", ["itc"])):
    listener = socket.create_server(("127.0.0.1", 0))
    subprocess.check_call([sys.argv[1] + "/server", str(listener.fileno()), *options], pass_fds=[listener.fileno()],
                          env={**os.environ, "LD_LIBRARY_PATH": sys.argv[2]})
    first = connects()
    listening = bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    listener.listen(9)
    print(f"{words}: {first}, listening {listening}, after listen(2): {connects()}", flush=True)
EOF
timeout 60 python3 "$dir/try.py" "$dir" "$lib" | tee "$dir/out"
diff - "$dir/out" <<'EOF'
stop: refused, listening False, after listen(2): connected
quiesce and stop: refused, listening False, after listen(2): connected
stop with MHD_USE_ITC: connected, listening True, after listen(2): connected
EOF
