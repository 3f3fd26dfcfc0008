// Package images tells which images of which image-dirs are used, by the configs
// and by the history of earlier ones: config logs and used-images-lists (section
// S of docs/requirements.md).
//
// Scope: reading these files, the keep rules, and the conditions that make an
// image-dir unsafe. Out of scope: running containers, and removing images. It
// changes no file.
//
// # Versions
//
// The config log of a sandbox has a line for each (re)load. A version is a *set
// of images*: successive lines with the same images are one version, whatever
// else changed in them. A line without images is no version and only ends the one
// before. A version was used from its first line until the first line of the
// next; the latest is still used. So an image that was in use for a year and
// replaced yesterday was used yesterday.
//
// # What makes an image-dir unsafe
//
// Nothing is to be cleaned in an image-dir of which something is not known:
//
//   - The process config of one of its sandboxes is missing or broken, or an
//     entry of it, so that the images that it asks for are not known. A
//     container config that is broken is not that.
//   - There is no used-images-list and no config log, or it is empty, can't be
//     read, or has a broken line among those that the rules ask to keep.
//   - The used-images-list has a line that can't be an image of this sandbox.
//   - Its sandboxes disagree on auto-clean or image-dir-levels.
//   - It lies inside another image-dir, or another one in it.
//
// A broken sandbox config may name any image-dir: then none is safe.
//
// Two image-dirs are the same if they are the same directory, by whatever
// links or bind mounts.
package images
