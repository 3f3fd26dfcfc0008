/*
 * The baseline: as little as a restarter can do. It keeps N processes running
 * and starts one again the moment it has died.
 *
 *   restarter plain|namespaces N PROGRAM ARGUMENT
 *
 * With `namespaces` each gets mount, pid, IPC and UTS namespaces of its own, as
 * the kernel makes them: no mounts, no limits, no logs, no PID 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char **child_argv;

static int child(void *unused) {
	(void)unused;
	execv(child_argv[0], child_argv);
	_exit(127);
}

int main(int argc, char **argv) {
	static char stack[65536] __attribute__((aligned(16)));
	if (argc != 5) {
		fprintf(stderr, "usage: restarter plain|namespaces N PROGRAM ARGUMENT\n");
		return 2;
	}
	int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
	if (strcmp(argv[1], "namespaces") == 0)
		flags |= CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
	child_argv = argv + 3;
	int missing = atoi(argv[2]);
	for (;;) {
		while (missing > 0) {
			if (clone(child, stack + sizeof stack, flags, NULL) < 0) {
				perror("clone");
				return 1;
			}
			missing--;
		}
		if (wait(NULL) > 0)
			missing++;
		else if (errno != EINTR) {
			perror("wait");
			return 1;
		}
	}
}
