// Package userns makes user namespaces, and network namespaces that belong to
// them, as descriptors: no process stays in them (user_namespaces(7)).
//
// Scope: creation and maps. Out of scope: the allowed ids, and any work in the
// namespaces.
package userns
