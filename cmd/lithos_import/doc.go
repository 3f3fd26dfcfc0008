// Lithos_import turns an image of other tools, from a registry, a tar of `docker
// save` or an OCI layout, into an image directory of lithos, with a container
// config made from what the image says of itself.
//
// How it is put together:
//
//	source.go   finds files in a directory or a tar
//	registry.go the same for an image in a registry; downloads of layers
//	image.go    from the source to a list of layers, for all formats
//	layout.go, archive.go   which image: OCI layouts and dir:, docker save
//	platform.go, reference.go   names of machines and of images
//	blob.go     reads a layer: decompressed, and verified to the last byte
//	store.go    the hidden directory that the layers are unpacked in, which a
//	            later run goes on with, until it gets its name
//	finish.go   mount points, and the files that are ours
//	container.go, user.go, init.go, health.go, volumes.go, yaml.go
//	            the container config
//
// Unpacking itself is lithos/cmd/lithos_import/untar.
//
// Choices:
//   - An image has the name sha256-DIGEST, where DIGEST is that of the image's
//     own config (docker calls it the image id). It covers the layers' contents
//     and is the same for docker save, a compressed OCI layout and a copy of
//     either.
//   - A layer of a registry is downloaded to a file first: so it goes on at its
//     last byte after any interruption, which a stream into the unpacking could
//     not. The client is oras-go, docs/adr/0004.
//   - A layer is verified by the digest of its file, where the format has one,
//     and by that of the decompressed tar (diff_ids).
//   - The user root, or none, becomes no user-id: the sandbox's default-user
//     then counts. Root is to be given on purpose. A group is always written
//     where the image has one, also 0, which images for any user rely on.
//   - A volume of the image becomes !Persistent, never !Tmpfs: that data is
//     lost at the next restart would be a bad surprise. They all lie below the
//     virtual directory /volumes, which the sandbox gives a place. /tmp, where there is
//     one, is a !Tmpfs, and so is /dev/shm, as in other tools.
//   - Nothing is written over a file of the image, except for our own
//     .lithos_import.json. /etc/hosts and /etc/resolv.conf become files if they
//     are links, since nothing is mounted through a link.
//   - The image's health check is taken over, although lithos ends what fails it
//     and docker only reports: a check is there to have consequences.
//   - A small init in front of the program, such as tini, is left out unless it
//     has options.
package main
