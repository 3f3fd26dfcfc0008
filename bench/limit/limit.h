/* What limit.c and network.c have in common. */

/* A container's place on a bridge. */
struct network {
	const char *bridge;
	const char *address;
};

/* Ends the program if a system call has failed. */
int must(long r, const char *what);

/* Connects a network namespace, with what an earlier container left out of the
 * way; gives a socket that is to be closed when nobody waits for it. */
int connect_to_bridge(const struct network *n, int namespace);
