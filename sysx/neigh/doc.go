// Package neigh asks the neighbours on a link whether an address is taken, and
// tells them who has it: ARP (RFC 5227) for IPv4, neighbour discovery (RFC
// 4861, 4862) for IPv6.
//
// PID 1 of a container links it, so it imports next to nothing.
package neigh
