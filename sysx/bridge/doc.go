// Package bridge connects a network namespace to a bridge of the host: a veth
// pair, addresses, the default route (section L of docs/requirements.md).
//
// A library speaks the netlink protocol. No other package of sysx has a
// dependency beyond golang.org/x/sys. PID 1 of a container does not link this
// one. Scope: the connection of one container. Out of scope: bridges, which
// belong to the host, and firewalls.
package bridge
