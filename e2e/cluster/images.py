#!/usr/bin/env python3
"""images.py BIN-DIR OUT-DIR [STAGE...]

Builds the Dockerfile's stages (all of them unless named) into OUT-DIR/STAGE.tar without a container engine, from the
programs in BIN-DIR. Images are called $REGISTRY/PROGRAM:$TAG (default: localhost, and the workspace's version).

A static program stands alone, as in the Dockerfile. One that is not, such as a debug build that tests need not make
a second time, takes the libraries that its loader names along.
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib

sys.dont_write_bytecode = True
import mkimage  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")


def stages(bin_dir: str) -> dict[str, dict]:
    """name -> its image configuration and files, from the few instructions the Dockerfile keeps to."""
    found: dict[str, dict] = {}
    with open(os.path.join(ROOT, "Dockerfile")) as file:
        lines = file.read().replace("\\\n", " ").splitlines()
    for line in filter(None, (line.split("#")[0].strip() for line in lines)):
        instruction, rest = line.split(None, 1)
        if instruction == "FROM":
            name = re.fullmatch(r"scratch AS (\w+)", rest).group(1)
            stage = found[name] = {"config": {}, "files": {}}
        elif instruction == "LABEL":
            stage["config"]["Labels"] = dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif instruction == "COPY":
            source, target = rest.replace("${BIN}", bin_dir).split()
            stage["files"][target] = source
        elif instruction == "USER":
            stage["config"]["User"] = rest
        elif instruction == "ENTRYPOINT":
            stage["config"]["Entrypoint"] = json.loads(rest)
        elif instruction != "ARG":
            sys.exit(f"images.py: Dockerfile: {instruction} is not understood; teach it here or leave it out")
    return found


def libraries(program: str) -> list[str]:
    """Every file the loader would map, itself among them; none for a static program."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True)
    return re.findall(r"(/\S+) \(0x", listed.stdout) if listed.returncode == 0 else []


def build(stage: dict, out: str, reference: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        files = {}
        for target, source in stage["files"].items():
            if not os.access(source, os.X_OK):
                sys.exit(f"images.py: {source} is not built")
            files[target] = os.path.join(scratch, os.path.basename(target))
            subprocess.run(["strip", "-o", files[target], source], check=True)
            files.update((library, library) for library in libraries(source))
        mkimage.write(out, reference, stage["config"], files)
    print(f"{out}  {reference}  {os.path.getsize(out) / 1e6:.1f} MB")


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    bin_dir, out_dir, *wanted = sys.argv[1:]
    with open(os.path.join(ROOT, "Cargo.toml"), "rb") as file:
        version = tomllib.load(file)["workspace"]["package"]["version"]
    registry, tag = os.environ.get("REGISTRY", "localhost"), os.environ.get("TAG", version)
    os.makedirs(out_dir, exist_ok=True)
    known = stages(bin_dir)
    for name in wanted or known:
        program = os.path.basename(known[name]["config"]["Entrypoint"][0])
        build(known[name], os.path.join(out_dir, name + ".tar"), f"{registry}/{program}:{tag}")


if __name__ == "__main__":
    main()
