#!/usr/bin/env bash
# umoci and buildah remove a file that no whiteout names.
#
# Layer 1 has lib/libc.so and usr/lib/libc.so. Layer 2 makes lib a symbolic link
# to usr/lib, and has the whiteout of lib/libc.so, as a tool writes it that lists
# what is gone. OCI image-spec 1.0, layer.md: a whiteout hides its path of the
# layers below. lib/libc.so of layer 1 is gone with the directory lib;
# usr/lib/libc.so has another path and no whiteout.
#
# Seen: both follow the link of layer 2 and remove usr/lib/libc.so.
# Versions: umoci 0.4.7+ds-3+b7, buildah 1.28.2 (Debian 12).
# Exit status 0: still so; 1: one of them keeps the file; 2: could not be tried.
set -euo pipefail
for tool in umoci buildah python3; do
	command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install $tool"; exit 2; }
done
umoci --version
buildah --version
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 - <<'PY'
import hashlib, io, json, os, tarfile

def layer(*entries):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode='w') as out:
        for name, target, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = (tarfile.SYMTYPE if target else tarfile.REGTYPE), target, len(content)
            out.addfile(info, io.BytesIO(content))
    return data.getvalue()

def put(data, kind):
    name = hashlib.sha256(data).hexdigest()
    open('layout/blobs/sha256/' + name, 'wb').write(data)
    return {'mediaType': 'application/vnd.oci.image.' + kind, 'digest': 'sha256:' + name, 'size': len(data)}

os.makedirs('layout/blobs/sha256')
layers = [layer(('lib/libc.so', '', b'1'), ('usr/lib/libc.so', '', b'2')), layer(('lib', 'usr/lib', b''), ('lib/.wh.libc.so', '', b''))]
config = {'architecture': 'amd64', 'os': 'linux', 'config': {},
          'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(x).hexdigest() for x in layers]}}
manifest = {'schemaVersion': 2, 'config': put(json.dumps(config).encode(), 'config.v1+json'), 'layers': [put(x, 'layer.v1.tar') for x in layers]}
entry = put(json.dumps(manifest).encode(), 'manifest.v1+json')
entry['annotations'] = {'org.opencontainers.image.ref.name': 'x'}
json.dump({'schemaVersion': 2, 'manifests': [entry]}, open('layout/index.json', 'w'))
json.dump({'imageLayoutVersion': '1.0.0'}, open('layout/oci-layout', 'w'))
PY

umoci unpack --image layout:x bundle
b=(buildah --storage-driver vfs --root "$dir/storage" --runroot "$dir/run")
mounted=$("${b[@]}" mount "$("${b[@]}" from --quiet oci:layout:x)")
status=0
for root in bundle/rootfs "$mounted"; do
	if [ -e "$root/usr/lib/libc.so" ]; then
		echo "$root keeps usr/lib/libc.so"
		status=1
	else
		echo "$root: usr/lib/libc.so was removed"
	fi
done
exit "$status"
