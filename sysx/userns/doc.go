// Package userns makes user namespaces, and network namespaces that belong to
// them, as descriptors: no process stays in them (user_namespaces(7)).
//
// What belongs here: the making and the maps. What does not: which ids are
// allowed, and what is done in the namespaces.
package userns
