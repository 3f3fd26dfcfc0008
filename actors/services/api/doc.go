// Package api has the messages of the control socket, `control.sock` in the
// runtime-dir: the types of version 1, as JSON, and a client. It links neither
// the actor library nor the daemon.
//
// The version is in the path (/v1/…). Within a version fields are added, never
// renamed or removed. Readers ignore unknown fields, and unknown values are left
// out. Times are RFC 3339, durations are seconds, sizes bytes. docs/control.md is
// for people, docs/control-openapi.json for programs; a test compares the latter
// with real answers.
package api
