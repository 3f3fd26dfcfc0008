// Package enter starts a program in a running container: in all its namespaces,
// its cgroups and its root, with the rights of the container's own program.
//
//	this process                      the new process
//	------------                      ---------------
//	thread: setns(pid) ─ clone3 ────► cgroups (into the one of version 2, then
//	   (suspended)                      the tasks files of version 1)
//	                                  setns(mnt, ipc, uts), by a pidfd of PID 1
//	                                  0, 1, 2; all other descriptors closed
//	                                  setns(net), setns(user), by a pidfd of the
//	                                    program
//	                                  capabilities, ids, no_new_privs, seccomp
//	                                  workdir
//	   (resumed) ◄──────────────────  execve of a path, looked up in the container
//
// # A container is hostile
//
//   - The container is found by the record that the supervisor wrote, and held by
//     pidfds, opened by pid and start time. Of /proc only what those still stand
//     for afterwards is used.
//   - No path of the container is followed on this side. The search through PATH
//     is a series of execve in the container.
//   - What rights the program gets stands in the record: the container's program
//     could have changed, or seem to have changed, what /proc says of it.
//   - Until its execve the new process shares the memory of this one, which
//     therefore has to be undumpable, see [Protect]: then no process of the
//     container can look into it, unless it has SYS_PTRACE in the host's user
//     namespace (add-capabilities without a uid-map).
//   - The container may have this very program's file executed once more
//     (/proc/self/exe as a command). [Protect] runs it from a read-only mount.
//
// Scope: entering. Out of scope: finding the container, and terminals.
package enter
