#!/usr/bin/env bash
# umoci and buildah take no layer with a file that GNU tar -S packed, and umoci
# none that git archive made.
#
# GNU tar -S makes old sparse files (type S) unless it is told another format;
# git archive begins each tar with a global PAX header (type g), whose comment is
# the commit. image-spec's layer.md excludes neither.
#
# Seen: umoci ends with "unknown typeflag" at both, buildah with "unhandled tar
# header type 83" at the sparse file.
# Versions: umoci 0.4.7+ds-3+b7, buildah 1.28.2, GNU tar 1.34 (Debian 12).
# Exit status 0: still so; 1: something else was seen; 2: could not be tried.
set -euo pipefail
for tool in umoci buildah python3 git tar; do
	command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install $tool"; exit 2; }
done
umoci --version
buildah --version
tar --version | head -n 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

git init -q repository
echo hello >repository/file
git -C repository add file
git -C repository -c user.name=x -c user.email=x@example.org commit -qm x
git -C repository archive -o "$dir/global.tar" HEAD
truncate -s 1M file
echo end >>file
tar -S -cf sparse.tar file

# layout TAR: an OCI layout of one image with one layer.
layout() {
	python3 - "$1" <<'PY'
import hashlib, json, os, sys

name = sys.argv[1]
def put(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    open(f'{name}/blobs/sha256/{digest}', 'wb').write(data)
    return {'mediaType': 'application/vnd.oci.image.' + kind, 'digest': 'sha256:' + digest, 'size': len(data)}

os.makedirs(name + '/blobs/sha256')
layer = put(open(name + '.tar', 'rb').read(), 'layer.v1.tar')
config = {'architecture': 'amd64', 'os': 'linux', 'config': {}, 'rootfs': {'type': 'layers', 'diff_ids': [layer['digest']]}}
manifest = {'schemaVersion': 2, 'config': put(json.dumps(config).encode(), 'config.v1+json'), 'layers': [layer]}
entry = put(json.dumps(manifest).encode(), 'manifest.v1+json')
entry['annotations'] = {'org.opencontainers.image.ref.name': 'x'}
json.dump({'schemaVersion': 2, 'manifests': [entry]}, open(name + '/index.json', 'w'))
json.dump({'imageLayoutVersion': '1.0.0'}, open(name + '/oci-layout', 'w'))
PY
}

b=(buildah --storage-driver vfs --root "$dir/storage" --runroot "$dir/run")
status=0
# refuses NAME TEXT COMMAND...: the command has to fail with the text.
refuses() {
	local name=$1 text=$2 out
	shift 2
	if out=$("$@" 2>&1); then
		echo "$name is taken by $1"
		status=1
	else
		echo "$name: $out"
		[[ $out == *"$text"* ]] || status=1
	fi
}

layout global
layout sparse
refuses global "unknown typeflag" umoci unpack --image global:x bundle-global
refuses sparse "unknown typeflag" umoci unpack --image sparse:x bundle-sparse
refuses sparse "unhandled tar header type 83" "${b[@]}" from oci:sparse:x
mounted=$("${b[@]}" mount "$("${b[@]}" from --quiet oci:global:x)")
[ -s "$mounted/file" ] || { echo "global: buildah makes no file"; status=1; }
exit "$status"
