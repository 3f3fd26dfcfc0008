#!/usr/bin/env bash
# buildah can't read the OCI layout that it has written, if a directory on the
# way has an upper-case letter in its name.
#
# containers-transports(5): oci:path:tag is a path of a directory, for which no
# letter is excluded. `buildah commit` writes there, skopeo reads it; `buildah
# from` makes the name of an image of the path, and such names are lower-case.
#
# Seen: "repository name must be lowercase".
# Versions: buildah 1.28.2, skopeo 1.9.3 (Debian 12).
# Exit status 0: still so; 1: buildah reads it; 2: could not be tried.
set -euo pipefail
for tool in buildah skopeo; do
	command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install $tool"; exit 2; }
done
buildah --version
skopeo --version
dir=$(mktemp -d /tmp/finding-XXXXXXXX)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/Images"

b=(buildah --storage-driver vfs --root "$dir/storage" --runroot "$dir/run")
"${b[@]}" commit --quiet "$("${b[@]}" from scratch)" "oci:$dir/Images/web:x"
skopeo inspect "oci:$dir/Images/web:x" >/dev/null
if out=$("${b[@]}" from "oci:$dir/Images/web:x" 2>&1); then
	echo "buildah reads it: $out"
	exit 1
fi
echo "$out"
[[ $out == *"must be lowercase"* ]]
