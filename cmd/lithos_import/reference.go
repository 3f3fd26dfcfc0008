package main

import (
	"slices"
	"strings"
)

const defaultRegistry = "docker.io"

// longName gives the name of an image with all that may be left out of it:
// nginx is docker.io/library/nginx:latest.
func longName(name string) string {
	name, digest, hasDigest := strings.Cut(name, "@")
	host, repository, ok := strings.Cut(name, "/")
	if !ok || !isHost(host) {
		host, repository = defaultRegistry, name
	}
	if host == "index."+defaultRegistry {
		host = defaultRegistry
	}
	if host == defaultRegistry && !strings.Contains(repository, "/") {
		repository = "library/" + repository
	}
	if hasDigest {
		return host + "/" + repository + "@" + digest
	}
	if !strings.Contains(repository[strings.LastIndex(repository, "/")+1:], ":") {
		repository += ":latest"
	}
	return host + "/" + repository
}

// isHost tells a registry from the first part of a repository's name.
func isHost(s string) bool { return s == "localhost" || strings.ContainsAny(s, ".:") }

// isNamed tells whether one of the names is the image that is wanted. A tag
// alone, as some layouts have it, is a name by itself.
func isNamed(want string, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return name != "" && (name == want || longName(name) == longName(want))
	})
}
