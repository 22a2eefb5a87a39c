"""Unpack the C++ part of the torch wheel and the NVIDIA libraries it needs, side by side.

    python unpack_libtorch.py cpu|cuda FOLDER WHEEL [WHEEL ...]

The wheels' own RPATHs make the libraries find each other in this layout, without LD_LIBRARY_PATH. Licences are kept.
"""
import pathlib
import re
import sys
import zipfile

KEEP = re.compile(r"torch/(lib|include|share)/|torch/version\.py$|torch\.libs/|nvidia/.*/(lib|include)/|.*\.dist-info/.*LICEN[CS]E", re.I)
NEVER = re.compile(r".*(libtorch_python\.so|\.a|\.py[cid]?)$")
CUDA_ONLY = re.compile(r"torch/lib/(libtorch_cuda.*|libtorch_nvshmem)\.so$|nvidia/.*/include/|nvidia/.*/(libnvperf|libcheckpoint|libpcsampling).*")


def wanted(name: str, flavour: str) -> bool:
    if name == "torch/version.py":
        return True
    if not KEEP.match(name) or NEVER.match(name):
        return False
    return flavour == "cuda" or not CUDA_ONLY.match(name)


def main() -> None:
    flavour, folder, *wheels = sys.argv[1:]
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and wanted(name, flavour)]
            print(f"unpacking {len(names)} files of {pathlib.Path(wheel).name}", file=sys.stderr)
            archive.extractall(folder, names)  # zipfile checks the CRC of every file


main()
