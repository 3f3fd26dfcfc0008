// Package files reads configs where they lie: on the host, and in images, which
// are hostile. A config is a regular file of a bounded size.
//
// What belongs here: opening and reading a file so that nothing in an image can
// lead out of it, block the reader or fill its memory. What does not: the
// contents.
package files
