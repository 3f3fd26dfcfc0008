/* An HTTP server on descriptor 3 by libmicrohttpd. On TERM it ends as the library's manual says, by MHD_stop_daemon, which calls
 * shutdown(2) on the listening socket. */
#include <microhttpd.h>
#include <signal.h>
#include <string.h>

static enum MHD_Result answer(void *own, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
			      const char *data, size_t *size, void **state) {
	static char body[] = "microhttpd\n";
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	(void)own, (void)url, (void)method, (void)version, (void)data, (void)size, (void)state;
	MHD_destroy_response(response);
	return result;
}

int main(void) {
	sigset_t term;
	int got;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, 0);
	struct MHD_Daemon *server =
		MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, 0, 0, answer, 0, MHD_OPTION_LISTEN_SOCKET, 3, MHD_OPTION_END);
	if (!server)
		return 1;
	sigwait(&term, &got);
	MHD_stop_daemon(server);
	return 0;
}
