#!/usr/bin/env python3
"""mkimage.py OUT.tar NAME:TAG ENTRYPOINT FILE=PATH...

Writes a one-layer image archive (docker format, what `ctr images import` and `docker load` read)
without a container engine. The same input gives the same bytes, whoever builds it and when.
"""
import hashlib
import io
import json
import os
import platform
import sys
import tarfile

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def write(out: str, reference: str, config: dict, files: dict[str, str]) -> None:
    """An archive of `files` (path in the image -> path here) that runs as the image `config` says."""
    content = layer(files)
    image = json.dumps({
        "architecture": ARCH[platform.machine()],
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha256(content)]},
    }).encode()
    name = sha256(image) + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]).encode()
    # Under another name first: a node that starts meanwhile must not import half an archive.
    with tarfile.open(out + ".new", "w", format=tarfile.GNU_FORMAT) as tar:
        add(tar, name, image)
        add(tar, "layer.tar", content)
        add(tar, "manifest.json", manifest)
    os.replace(out + ".new", out)


def layer(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, source in sorted(files.items()):
            with open(source, "rb") as file:
                add(tar, path.lstrip("/"), file.read(), 0o755)
    return out.getvalue()


def add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    archive, tag, entrypoint, *pairs = sys.argv[1:]
    write(archive, tag, {"Entrypoint": [entrypoint]}, dict(reversed(pair.split("=", 1)) for pair in pairs))
