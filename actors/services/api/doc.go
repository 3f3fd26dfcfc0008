// Package api is what is said over the control socket, `<runtime-dir>/
// control.sock`: the types of version 1, as JSON, and a client. It links
// neither the actor library nor the daemon.
//
// The version is in the path (/v1/…). Within it fields are added, never
// renamed or removed, and a reader ignores what it does not know. What is not
// known is left out. Times are RFC 3339, durations are seconds, sizes bytes.
// docs/control.md is for people, docs/control-openapi.json for programs; a
// test compares the latter with real answers.
package api
