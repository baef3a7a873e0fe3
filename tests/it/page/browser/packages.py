"""A headless Chromium from a package of npm's, and its driver from PyPI, for a machine that has none.

Leaves the programs `chromium` and `chromedriver` in a directory. Says in its last line why it cannot.
"""

import base64
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

import brotli
import chromedriver_py

NAME, VERSION = "@sparticuz/chromium", "153.0.0"
SHA512 = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="

# Libraries and fonts are the package's, so that it starts and draws the same where there are none: without a single
# font Chromium ends.
PROGRAM = """#!/bin/sh
here=${{0%/*}}
export LD_LIBRARY_PATH="$here/libraries" FONTCONFIG_FILE="$here/fonts.conf" XDG_CACHE_HOME="$here/cache"
exec "$here/programs/{name}" "$@"
"""
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="relative">fonts</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>
"""


def tarball(directory):
    """As npm downloads it, by its user's configuration, or from the public registry where there is no npm."""
    if npm := shutil.which("npm"):
        wanted = f"{NAME}@{VERSION}"
        if subprocess.run([npm, "pack", "--loglevel=error", wanted], cwd=directory).returncode != 0:
            sys.exit(f"`npm pack {wanted}` fails")
        content = next(directory.glob("*.tgz")).read_bytes()
    else:
        url = f"https://registry.npmjs.org/{NAME}/-/{NAME.split('/')[1]}-{VERSION}.tgz"
        print(url, flush=True)
        with urllib.request.urlopen(url, timeout=60) as answer:
            content = answer.read()
    if hashlib.sha512(content).digest() != base64.b64decode(SHA512):
        sys.exit(f"{NAME} {VERSION} is not what it was")
    return tarfile.open(fileobj=io.BytesIO(content))


def executable(path, content):
    path.write_bytes(content)
    path.chmod(0o755)


def unpack(package, directory):
    def read(name):
        return brotli.decompress(package.extractfile(f"package/bin/{name}.br").read())

    programs = directory / "programs"
    programs.mkdir()
    executable(programs / "chromium", read("chromium"))
    executable(programs / "chromedriver", Path(chromedriver_py.binary_path).read_bytes())
    for name in ("chromium", "chromedriver"):
        executable(directory / name, PROGRAM.format(name=name).encode())
    (directory / "fonts.conf").write_text(FONTS)
    for name, into in (("al2023", "libraries"), ("fonts", "fonts")):
        (directory / into).mkdir()
        files = tarfile.open(fileobj=io.BytesIO(read(f"{name}.tar")))
        for file in filter(tarfile.TarInfo.isfile, files):
            (directory / into / Path(file.name).name).write_bytes(files.extractfile(file).read())
    (directory / VERSION).touch()


def main(directory):
    if not (directory / VERSION).exists():
        shutil.rmtree(directory, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=directory.parent) as under_way:
            unpacked = Path(under_way, "unpacked")
            unpacked.mkdir()
            unpack(tarball(Path(under_way)), unpacked)
            unpacked.rename(directory)
    for name in ("chromedriver", "chromium"):
        started = subprocess.run([directory / name, "--version"], capture_output=True, text=True)
        if started.returncode != 0:
            sys.exit(started.stderr.strip())


main(Path(sys.argv[1]))
