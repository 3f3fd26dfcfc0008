// Package untar unpacks a tar archive of unknown origin below a directory: one
// layer of a container image over the layers before it.
//
// Scope: entries to files. Out of scope: where the archive comes
// from, compression, digests, and the notion of an image.
//
// # What an archive can't do
//
//   - A name whose ".." lead out of the directory is an error, also that of the
//     file which a hard link is to. Others are taken out of the text: a/../b is
//     b. A leading slash counts for nothing.
//   - The directory of an entry is looked up by the kernel with the root
//     directory as its root (package inroot), so that symbolic links, absolute
//     ones too, lead to what they mean inside. The last name is never followed:
//     what has it is replaced. Where a link leads to nothing, the directory that
//     it names is made, inside.
//   - Devices are not made, nor hard links to them. They are told in the result,
//     and what had their name is gone.
//   - Bits and attributes that give privileges on the host as much as in a
//     container (set-user-id, set-group-id, security.capability) are taken off
//     and counted, unless Options.Privileged is set. Of the extended attributes
//     user.* and ACLs are kept. All others, and those that the file system can't
//     hold, are left out and counted.
//   - The number of entries, the bytes of all files and the length of a name
//     are bounded. A sparse file counts with its full length, and its holes are
//     holes again on the disk.
//
// # Layers
//
// The entries ".wh.NAME" (remove NAME of the layers below) and ".wh..wh..opq"
// (remove all that the layers below have in this directory) are those of the
// OCI image specification; what the same layer has unpacked is kept, in whatever
// order the entries come and whatever links lead to it. A whiteout follows links
// of the layers below. It does not follow one of its own layer: the directory
// that they had in its place is gone with all that was in it. Other names that
// begin with ".wh..wh." are skipped.
//
// A later entry replaces an earlier one of the same name; a directory that is
// there already keeps what is in it and gets the entry's owner and mode.
//
// Applying the same layer again over an interrupted attempt gives the same as
// applying it once, but for two cases, which Result.Once counts: a hard link to a
// file of a layer below that the same layer then replaces, and a whiteout below
// a link that it then replaces.
package untar
