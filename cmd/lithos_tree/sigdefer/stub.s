// The functions of package syscall that have no body here need this file to be.
