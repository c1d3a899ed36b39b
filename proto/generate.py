"""Writes the typed Python stubs of the wire into `python/intelgraph/gateway/v1`.

`--into DIR` writes below another root, so that a test can compare. A method without permission fails.
"""

import argparse
import subprocess
import sys
import sysconfig
import tempfile
from importlib import resources
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

ROOT = Path(__file__).resolve().parent
PACKAGE = Path("intelgraph/gateway/v1")
INIT = '"""Generated from `proto/intelgraph/gateway/v1` by `make generate`. Do not edit."""\n'


def sources() -> list[Path]:
    """The files of the wire."""
    return sorted((ROOT / PACKAGE).glob("*.proto"))


def protoc(*arguments: str) -> None:
    """Runs the protoc of this environment on the wire.

    `google/rpc/status.proto` comes from the googleapis-common-protos distribution, which the generated code
    imports at run time as well.
    """
    googleapis = resources.files("google.rpc") / "../.."
    roots = [f"--proto_path={ROOT}", f"--proto_path={googleapis}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *roots, *arguments], check=True)


def describe(target: Path) -> FileDescriptorSet:
    """Compiles the wire, with its comments and imports, into a descriptor set in `target`."""
    protoc(
        "--include_imports", "--include_source_info", f"--descriptor_set_out={target}", *map(str, sources())
    )
    return FileDescriptorSet.FromString(target.read_bytes())


def methods_without_permission(wire: FileDescriptorSet) -> list[str]:
    """Names the methods whose options do not carry the `permission` extension that the wire itself defines.

    Read from the descriptors, not from the generated code, so that a faulty wire generates nothing.
    """
    (number,) = (
        extension.number
        for file in wire.file
        for extension in file.extension
        if extension.name == "permission" and extension.extendee == ".google.protobuf.MethodOptions"
    )
    return [
        f"{file.package}.{service.name}/{method.name}"
        for file in wire.file
        for service in file.service
        for method in service.method
        if not _carries(method.options, number)
    ]


def _carries(options: Message, number: int) -> bool:
    fields = UnknownFieldSet(options)
    return any(fields[index].field_number == number for index in range(len(fields)))


def generate(into: Path) -> None:
    """Writes messages for every file and stubs for those with services, each with its types."""
    with tempfile.TemporaryDirectory() as scratch:
        undeclared = methods_without_permission(describe(Path(scratch, "wire.binpb")))
    if undeclared:
        sys.exit(f"no `option (permission)` on: {', '.join(undeclared)}")
    (into / PACKAGE).mkdir(parents=True, exist_ok=True)
    for stale in (into / PACKAGE).glob("*_pb2*"):
        stale.unlink()
    plugins = Path(sysconfig.get_path("scripts"))
    protoc(
        f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
        f"--python_out={into}",
        f"--mypy_out=quiet:{into}",
        *map(str, sources()),
    )
    protoc(
        f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
        f"--grpc_python_out={into}",
        f"--mypy_grpc_out=quiet:{into}",
        *(str(source) for source in sources() if "\nservice " in source.read_text(encoding="utf-8")),
    )
    (into / PACKAGE / "__init__.py").write_text(INIT, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT.parent / "python")
    generate(parser.parse_args().into)
