// Package files reads configs where they lie: on the host, and in images, which
// are hostile. A config is a regular file of a bounded size.
//
// Scope: opening and reading a file, so that an image cannot lead out of itself,
// block the reader or fill its memory. Out of scope: the contents.
package files
