// Package knot is PID 1 of a container (lithos_knot): it reads the Spec, makes
// the container, runs the program, and exits with it.
//
//	fd 3 ──► Spec ──► recipe (mount namespace, host still visible)
//	                    state dir, resolv.conf, hosts, volumes
//	                    image, dev, devpts, sys, proc, volumes, /etc files
//	                  pivot_root: the host is gone
//	                  a standby: wait for the word, see standby.go
//	                  fork and exec of the program (pid 2)
//	                  reap, forward TERM, kill-timeout, restart-process-only
//	fd 4 ◄── started, failed, killing, exited
//
// It takes no decision: the Spec has them all. It is small, because each
// container has one: no fmt, no JSON package, no net, no logger.
//
// # Two paths
//
// Most containers have a PID 1 without Go's runtime ("bare", see bare.go). It
// carries out a list of system calls that the supervisor has written down. The
// general path, with the runtime, makes the other containers, and explains why a
// call of the list has failed. Both make the container by one recipe.
//
//	                  ┌─ recorder ──► list ──► bare PID 1
//	Spec ──► recipe ──┤  (supervisor)
//	                  └─ executor (general path, in PID 1)
//
// # Where to look
//
//	recipe.go            operations, the order of the steps, image, pseudo file systems
//	protect.go           masked and read-only files of the kernel
//	volumes.go, etc.go   volumes; state dir, resolv.conf and hosts
//	hosts.go             the lines of the hosts file
//	executor.go          operations that are carried out at once
//	recorder.go          operations that are written down
//	recorder_program.go  the program's process, written down
//	list.go              the layout of the list, Compile: which path a container takes
//	bare*.go, bare*.s    PID 1 without a runtime
//	knot.go              Main: the general path
//	program.go, stdio.go the program's process: descriptors, identity, start
//	supervise.go         start, reap, forward, restart with a runtime
//	verdict.go, lines.go exit codes, requests to stop, lines of the log, for both paths
//	signals.go, standby.go, spaces.go, network.go
//	explain.go           why an execve failed
//
// A new step of a container is a few lines in the recipe. A new operation is a
// method of the interface operations and of its two implementations; one that
// can't be written down sets bad in the recorder.
//
// # Choices where the manual is silent
//
//   - The image is mounted read-only, nosuid and nodev, with all mounts below
//     it. nosuid costs nothing: no_new_privs is set anyway.
//   - devfs-dir is mounted without the mounts below it, so that a host's /dev
//     does not bring the host's /dev/shm along; read-only, nosuid, noexec.
//   - The clearing of nodev on it makes a devfs-dir on a nodev mount work.
//   - proc is writable, but the files in it that act on the whole host (sys,
//     sysrq-trigger, bus, fs, irq) are read-only, for every user. Files about the
//     host in proc and sys that no program needs are empty. See protect.go; the
//     sandbox can lift both.
//   - With allow-new-privileges of the sandbox the image is mounted without
//     nosuid, for that is what the option is about; volumes stay nosuid.
//   - resolv.conf and hosts are made in the state dir whether or not they are
//     mounted. With "mount: true" and nothing to put in, the file is empty.
//   - public-hostname is looked up in the host's /etc/hosts, not in the DNS: a
//     start must not wait for a name server. Where it is not there, it is the
//     address that the host would use to reach other networks, and where it
//     reaches none, 127.0.0.1.
//   - stdout-stderr-file is opened with the ids of the program: its path is the
//     image's choice and its directory the program's, and so they can't make
//     root write anywhere. A FIFO is refused rather than waited for.
//   - The bounding set is what docker gives, less MKNOD, AUDIT_WRITE, NET_RAW
//     and SYS_CHROOT.
//   - The umask of the program is 022, its signals are as for a login.
//   - INT is a request to stop like TERM and is forwarded as INT.
//   - An interactive container has a session of its own as any other, and at most
//     a terminal of its own: its programs can't type into the caller's. PID 1 leads that session and the program is its foreground group,
//     so that Ctrl-C, Ctrl-Z and shells with jobs work.
//   - If TERM comes before the program was started, it isn't started.
package knot
