package forkexec

// sysSeccomp is seccomp(2), which package syscall lacks.
const sysSeccomp = 277
