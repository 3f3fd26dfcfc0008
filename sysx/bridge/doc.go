// Package bridge connects a network namespace to a bridge of the host: a veth
// pair, addresses, the default route (section L of docs/requirements.md).
//
// The netlink protocol is spoken by a library made for it; this is the one
// package of sysx with a dependency beyond golang.org/x/sys, and PID 1 of a
// container does not link it. What belongs here: one container's connection.
// What does not: bridges themselves, which are the host's, and firewalls.
package bridge
