/*
 * The physical limit: the system calls of one container's start, as
 * lithos_tree and lithos_knot make them, with nothing around them. No configs,
 * no records, no logs, no runtime; what fails ends it.
 *
 *   limit times N OPTIONS PROGRAM ARGUMENT...
 *       starts a container and waits for its end, N times, one after the
 *       other; prints the nanoseconds of each, one a line
 *   limit keep N OPTIONS PROGRAM ARGUMENT...
 *       keeps N running: the moment one has died the next is started; TERM
 *       ends it, and all
 *   limit again COMMAND...
 *       keeps a command running, as little as one that restarts other
 *       runtimes' containers can do; TERM ends it, and the command
 *   limit hook BRIDGE:ADDRESS
 *       connects a container that another runtime has made, whose state it
 *       reads from standard input, as -n does
 *
 *   -i DIR  image              -d DIR  what is mounted on /dev
 *   -m DIR  empty directory, on which the root is built
 *   -s DIR  directory for state directories
 *   -v DIR  volume, on /out of the image; once
 *   -w      four volumes more, on /v1 to /v4: the same, the same read-only, a
 *           tmpfs, the state directory
 *   -u      user namespace, whose ids from 0 on are those from 100000 on
 *   -n BRIDGE:ADDRESS  network namespace, connected to the bridge, an address
 *           in a /16; for one container at a time
 *   -g DIR  directory to make control groups in; once for each hierarchy
 *
 * `times` makes and removes the control group with each container; `keep`
 * makes it once, as a restart needs no other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "limit.h"

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC)

#define READ_ONLY 1
#define NO_SUID 2
#define NO_DEV 4
#define NO_EXEC 8
#define NO_ATIME 0x10

#define MAX_GROUPS 16

static const char *image, *dev, *mount_dir, *state_dir, *volume;
static char **program;
static const char *groups[MAX_GROUPS];
static int group_count;
static int more_volumes, user_namespace;
static struct network network;

static void die(const char *what) {
	fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
	_exit(111);
}

int must(long r, const char *what) {
	if (r < 0)
		die(what);
	return (int)r;
}

static long long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Mounts, on descriptors. */

static int open_dir(const char *path) { return must(open(path, O_PATH | O_CLOEXEC), path); }

static int open_inside(int root, const char *path) {
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static int clone_tree(int fd, int recursive) {
	return must(syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0)),
		"open_tree");
}

static void set_attr(int fd, uint64_t set, uint64_t clear, int recursive) {
	struct mount_attr a = {.attr_set = set, .attr_clr = clear};
	must(syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &a, sizeof a), "mount_setattr");
}

static void attach(int fd, int target) {
	must(syscall(SYS_move_mount, fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH), "move_mount");
}

static void attach_at(int fd, int root, const char *path) {
	int target = must(open_inside(root, path), path);
	attach(fd, target);
	close(target);
}

/* options are pairs of a key and a value; a value of "" is a flag. */
static int new_fs(const char *type, uint64_t attr, const char **options) {
	int fs = must(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC), type);
	must(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", type, 0), "fsconfig source");
	for (; options && *options; options += 2) {
		int flag = !*options[1];
		must(syscall(SYS_fsconfig, fs, flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, options[0], flag ? NULL : options[1], 0), *options);
	}
	must(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig create");
	int fd = must(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr), "fsmount");
	close(fs);
	return fd;
}

static int empty_file, empty_dir;

/* What hides the kernel's files: an empty file and an empty directory. */
static void make_masks(int on) {
	static const char *options[] = {"size", "4096", "mode", "0555", NULL};
	int fd = new_fs("tmpfs", NO_SUID | NO_DEV | NO_EXEC, options);
	must(mkdirat(fd, "dir", 0555), "mkdir");
	close(must(openat(fd, "file", O_RDONLY | O_CREAT | O_CLOEXEC, 0444), "empty file"));
	set_attr(fd, READ_ONLY, 0, 0);
	attach(fd, on);
	empty_file = must(open_inside(fd, "file"), "empty file");
	empty_dir = must(open_inside(fd, "dir"), "empty directory");
	close(fd);
}

static void mask(int fs, const char *const *names) {
	for (; *names; names++) {
		struct stat st;
		int target = open_inside(fs, *names);
		if (target < 0)
			continue; /* this kernel has none */
		must(fstat(target, &st), "fstat");
		int fd = clone_tree(S_ISDIR(st.st_mode) ? empty_dir : empty_file, 0);
		attach(fd, target);
		close(fd);
		close(target);
	}
}

static void read_only(int fs, const char *const *names) {
	for (; *names; names++) {
		int target = open_inside(fs, *names);
		if (target < 0)
			continue;
		int fd = clone_tree(target, 0);
		set_attr(fd, READ_ONLY, 0, 0);
		attach(fd, target);
		close(fd);
		close(target);
	}
}

static const char *const host_wide[] = {"bus", "fs", "irq", "sys", "sysrq-trigger", NULL};
static const char *const masked_proc[] = {"acpi", "asound", "interrupts", "kcore", "keys", "kmsg", "kpagecgroup", "kpagecount",
	"kpageflags", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats", NULL};
static const char *const masked_sys[] = {"devices/virtual/powercap", "firmware", NULL};
static const char *pts_options[] = {"newinstance", "", "ptmxmode", "0666", "mode", "0620", "gid", "5", NULL};

static void mount_kernel_file_systems(int root) {
	int fd = new_fs("devpts", NO_SUID | NO_EXEC | NO_ATIME, pts_options);
	attach_at(fd, root, "/dev/pts");
	close(fd);
	fd = new_fs("sysfs", READ_ONLY | NO_SUID | NO_EXEC | NO_DEV | NO_ATIME, NULL);
	attach_at(fd, root, "/sys");
	mask(fd, masked_sys);
	close(fd);
	fd = new_fs("proc", NO_SUID | NO_EXEC | NO_DEV | NO_ATIME, NULL);
	attach_at(fd, root, "/proc");
	read_only(fd, host_wide);
	mask(fd, masked_proc);
	close(fd);
}

#define MOST_VOLUMES 5
static const char *const volumes_on[MOST_VOLUMES] = {"/out", "/v1", "/v2", "/v3", "/v4"};
static const char *tmpfs_options[] = {"size", "1048576", "mode", "0755", NULL};

static int take(const char *path, uint64_t attr) {
	int source = open_dir(path), fd = clone_tree(source, 1);
	set_attr(fd, attr, 0, 1);
	close(source);
	return fd;
}

/* The volumes' mounts, still detached; gives how many there are. */
static int take_volumes(int *fds, const char *state) {
	const uint64_t attr = NO_SUID | NO_DEV | NO_EXEC;
	if (!volume)
		return 0;
	fds[0] = take(volume, attr);
	if (!more_volumes)
		return 1;
	fds[1] = take(volume, attr);
	fds[2] = take(volume, attr | READ_ONLY);
	fds[3] = new_fs("tmpfs", attr, tmpfs_options);
	fds[4] = take(state, attr);
	return MOST_VOLUMES;
}

/* A state directory, made anew with an empty hosts file in it. */
static void make_state(const char *path) {
	char hosts[4200];
	snprintf(hosts, sizeof hosts, "%s/hosts", path);
	unlink(hosts);
	if (rmdir(path) < 0 && errno != ENOENT)
		die(path);
	must(mkdir(path, 01777), path);
	int fd = must(open(hosts, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644), hosts);
	must(write(fd, "127.0.0.1 localhost\n", 20), hosts);
	close(fd);
}

static void build(const char *state) {
	struct mount_attr private = {.propagation = 1 << 18 /* MS_PRIVATE */};
	must(syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private), "making mounts private");
	make_state(state);
	int volumes[MOST_VOLUMES], volume_count = take_volumes(volumes, state);
	int from = open_dir(image), on = open_dir(mount_dir);
	make_masks(on);
	int root = clone_tree(from, 1);
	set_attr(root, READ_ONLY | NO_SUID | NO_DEV, 0, 1);
	attach(root, on);
	int devices = open_dir(dev);
	int fd = clone_tree(devices, 0);
	set_attr(fd, READ_ONLY | NO_SUID | NO_EXEC, NO_DEV, 0);
	attach_at(fd, root, "/dev");
	close(fd);
	mount_kernel_file_systems(root);
	for (int i = 0; i < volume_count; i++)
		attach_at(volumes[i], root, volumes_on[i]);
	must(fchdir(root), "fchdir");
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(syscall(SYS_umount2, ".", 2 /* MNT_DETACH */), "umount2");
	must(chdir("/"), "chdir");
}

/* Credentials: those of a program that runs as user 0. */

static void drop_rights(void) {
	static const uint64_t kept = 1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FSETID | 1ULL << CAP_FOWNER | 1ULL << CAP_SETGID |
		1ULL << CAP_SETUID | 1ULL << CAP_SETPCAP | 1ULL << CAP_SETFCAP | 1ULL << CAP_NET_BIND_SERVICE | 1ULL << CAP_KILL;
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog filter = {1, allow};
	must(syscall(SYS_capget, &header, data), "capget");
	for (int c = 0; c < 64; c++) {
		if (!(kept >> c & 1) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			break; /* one past the last that the kernel knows */
	}
	data[0].inheritable = data[1].inheritable = 0;
	must(syscall(SYS_capset, &header, data), "capset");
	must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "ambient capabilities");
	must(syscall(SYS_setgroups, 0, NULL), "setgroups");
	must(syscall(SYS_setresgid, 0, 0, 0), "setresgid");
	must(syscall(SYS_setresuid, 0, 0, 0), "setresuid");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0), "seccomp");
}

struct launch {
	char state[4096];
	int tasks[MAX_GROUPS];
	int user, network; /* the program's namespaces, -1 = those of all */
	int claimed;       /* of connect_to_bridge, -1 = none */
};

static int run_program(void *arg) {
	struct launch *l = arg;
	struct rlimit files = {1024, 1024};
	for (int i = 0; i < group_count; i++)
		must(write(l->tasks[i], "0", 1), "joining a control group");
	must(setsid(), "setsid");
	must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	if (l->network >= 0)
		must(setns(l->network, CLONE_NEWNET), "entering the network namespace");
	if (l->user >= 0)
		must(setns(l->user, CLONE_NEWUSER), "entering the user namespace");
	drop_rights();
	execve(program[0], program, (char *[]){NULL});
	die(program[0]);
	return 0;
}

/* PID 1: builds, starts the program, waits for it, ends as it did. */
static void pid1(struct launch *l) {
	static char stack[32768] __attribute__((aligned(16)));
	int status, pid;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGTERM, SIG_DFL);
	setsid();
	if (l->claimed >= 0)
		close(l->claimed);
	build(l->state);
	int program_pid = must(clone(run_program, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, l), "clone");
	do
		pid = wait(&status);
	while (pid != program_pid && (pid > 0 || errno == EINTR));
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* The supervisor's part. */

static void group_path(char *path, size_t size, int i, int n, const char *file) {
	snprintf(path, size, "%s/limit-%d.%d%s", groups[i], getpid(), n, file);
}

static int write_file(const char *path, const char *value) {
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1; /* another hierarchy's */
	must(write(fd, value, strlen(value)), path);
	close(fd);
	return 0;
}

static void make_groups(int n) {
	char path[4096];
	for (int i = 0; i < group_count; i++) {
		group_path(path, sizeof path, i, n, "");
		must(mkdir(path, 0755), path);
		group_path(path, sizeof path, i, n, "/memory.limit_in_bytes");
		if (write_file(path, "67108864") < 0) {
			group_path(path, sizeof path, i, n, "/memory.max");
			write_file(path, "67108864");
		}
		group_path(path, sizeof path, i, n, "/cpu.shares");
		if (write_file(path, "1024") < 0) {
			group_path(path, sizeof path, i, n, "/cpu.weight");
			write_file(path, "100");
		}
	}
}

/* A group is busy until the kernel is done with the last that was in it. */
static void remove_groups(int n) {
	char path[4096];
	for (int i = 0; i < group_count; i++) {
		group_path(path, sizeof path, i, n, "");
		while (rmdir(path) < 0) {
			if (errno != EBUSY)
				die(path);
			usleep(50);
		}
	}
}

static int hold(void *arg) {
	(void)arg;
	pause();
	return 0;
}

static int open_namespace(int pid, const char *name) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, name);
	return must(open(path, O_RDONLY | O_CLOEXEC), path);
}

/* A user or network namespace, or both: made by a process that is in them until they are open. */
static void make_spaces(struct launch *l) {
	static char stack[4096] __attribute__((aligned(16)));
	int flags = (user_namespace ? CLONE_NEWUSER : 0) | (network.bridge ? CLONE_NEWNET : 0);
	l->user = l->network = l->claimed = -1;
	if (!flags)
		return;
	int pid = must(clone(hold, stack + sizeof stack, CLONE_VM | flags | SIGCHLD, NULL), "clone");
	if (user_namespace) {
		static const char *const maps[] = {"uid_map", "gid_map"};
		char path[64];
		for (int i = 0; i < 2; i++) {
			snprintf(path, sizeof path, "/proc/%d/%s", pid, maps[i]);
			must(write_file(path, "0 100000 1000\n"), path);
		}
		l->user = open_namespace(pid, "user");
	}
	if (network.bridge)
		l->network = open_namespace(pid, "net");
	kill(pid, SIGKILL);
	must(waitpid(pid, NULL, 0), "waitpid");
	if (network.bridge)
		l->claimed = connect_to_bridge(&network, l->network);
}

static void *closer(void *fd) {
	usleep(20000);
	close((int)(intptr_t)fd);
	return NULL;
}

static void close_later(int fd) {
	pthread_t thread;
	if (fd >= 0 && pthread_create(&thread, NULL, closer, (void *)(intptr_t)fd) == 0)
		pthread_detach(thread);
}

/* Closes what the next container's start does not need; the network when the one
 * after has its own, and not in its way: the kernel takes it down in the
 * background, with locks and waits that any start has use for. */
static void close_spaces(struct launch *l) {
	static int before = -1;
	if (l->user >= 0)
		close(l->user);
	close_later(before);
	before = l->network;
	close_later(l->claimed);
}

static int start(int n) {
	struct launch l;
	char path[4096];
	make_spaces(&l);
	snprintf(l.state, sizeof l.state, "%s/%d", state_dir, n);
	for (int i = 0; i < group_count; i++) {
		group_path(path, sizeof path, i, n, "/tasks");
		l.tasks[i] = open(path, O_WRONLY | O_CLOEXEC);
		if (l.tasks[i] < 0) {
			group_path(path, sizeof path, i, n, "/cgroup.procs");
			l.tasks[i] = must(open(path, O_WRONLY | O_CLOEXEC), path);
		}
	}
	struct clone_args a = {.flags = NAMESPACES, .exit_signal = SIGCHLD};
	int pid = must(syscall(SYS_clone3, &a, sizeof a), "clone3");
	if (pid == 0)
		pid1(&l);
	for (int i = 0; i < group_count; i++)
		close(l.tasks[i]);
	close_spaces(&l);
	return pid;
}

static void times(int n) {
	long long *took = calloc(n, sizeof *took);
	for (int i = 0; i < n; i++) {
		int status;
		long long begin = now();
		make_groups(0);
		must(waitpid(start(0), &status, 0), "waitpid");
		remove_groups(0);
		took[i] = now() - begin;
		if (status) {
			fprintf(stderr, "limit: the program ended with status %d\n", status);
			exit(1);
		}
	}
	for (int i = 0; i < n; i++)
		printf("%lld\n", took[i]);
}

static volatile sig_atomic_t stopping;

static void stop(int signal) {
	(void)signal;
	stopping = 1;
}

static void keep(int n) {
	int *pids = calloc(n, sizeof *pids);
	struct sigaction on_term = {.sa_handler = stop};
	sigaction(SIGTERM, &on_term, NULL);
	for (int i = 0; i < n; i++) {
		make_groups(i);
		pids[i] = start(i);
	}
	while (!stopping) {
		int status, pid = waitpid(-1, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 111)
			break; /* it has said why */
		for (int i = 0; pid > 0 && i < n; i++) {
			if (pids[i] == pid)
				pids[i] = start(i);
		}
	}
	for (int i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	for (int i = 0; i < n; i++)
		remove_groups(i);
}

static void again(char **command) {
	struct sigaction on_term = {.sa_handler = stop};
	sigaction(SIGTERM, &on_term, NULL);
	while (!stopping) {
		int pid = must(vfork(), "vfork");
		if (pid == 0) {
			execvp(command[0], command);
			die(command[0]);
		}
		while (waitpid(pid, NULL, 0) < 0) {
			if (stopping)
				kill(pid, SIGTERM);
		}
	}
}

/* The pid is in the state as `"pid": NUMBER`. */
static void hook(void) {
	char state[65536];
	size_t n = fread(state, 1, sizeof state - 1, stdin);
	state[n] = 0;
	char *pid = strstr(state, "\"pid\":");
	if (!pid) {
		fprintf(stderr, "limit: no pid in the state\n");
		exit(1);
	}
	connect_to_bridge(&network, open_namespace(atoi(pid + 6), "net"));
	if (fork() == 0) { /* which closes the socket when nobody waits for it */
		close(0), close(1), close(2);
		usleep(20000);
	}
}

static void use_bridge(char *text) {
	char *colon = strchr(text, ':');
	if (!colon) {
		fprintf(stderr, "limit: no BRIDGE:ADDRESS: %s\n", text);
		exit(2);
	}
	*colon = 0;
	network.bridge = text;
	network.address = colon + 1;
}

int main(int argc, char **argv) {
	if (argc == 3 && !strcmp(argv[1], "hook")) {
		use_bridge(argv[2]);
		hook();
		return 0;
	}
	if (argc >= 3 && !strcmp(argv[1], "again")) {
		again(argv + 2);
		return 0;
	}
	if (argc < 4 || (strcmp(argv[1], "times") && strcmp(argv[1], "keep"))) {
		fprintf(stderr, "usage: limit times|keep N -i IMAGE -d DEV -m MOUNT -s STATE [-v VOLUME] [-w] [-u] [-n BRIDGE:ADDRESS] [-g GROUPS]... PROGRAM ARGUMENT...\n");
		return 2;
	}
	int n = atoi(argv[2]), option;
	const char *what = argv[1];
	argc -= 2, argv += 2;
	while ((option = getopt(argc, argv, "+i:d:m:s:v:g:wun:")) != -1) {
		switch (option) {
		case 'i': image = optarg; break;
		case 'd': dev = optarg; break;
		case 'm': mount_dir = optarg; break;
		case 's': state_dir = optarg; break;
		case 'v': volume = optarg; break;
		case 'w': more_volumes = 1; break;
		case 'u': user_namespace = 1; break;
		case 'n': use_bridge(optarg); break;
		case 'g':
			if (group_count < MAX_GROUPS)
				groups[group_count++] = optarg;
			break;
		default: return 2;
		}
	}
	program = argv + optind;
	if (!image || !dev || !mount_dir || !state_dir || !*program || n < 1) {
		fprintf(stderr, "limit: something is missing, see the head of limit.c\n");
		return 2;
	}
	if (!strcmp(what, "times"))
		times(n);
	else
		keep(n);
	return 0;
}
