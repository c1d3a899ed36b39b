"""Writes the typed Python stubs of the wire into `python/intelgraph/gateway/v1`.

`--into DIR` writes below another root, so that a test can compare. Fails where a method declares no permission.
"""

import argparse
import subprocess
import sys
import sysconfig
import tempfile
from importlib import resources
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.unknown_fields import UnknownFieldSet

ROOT = Path(__file__).resolve().parent
PACKAGE = Path("intelgraph/gateway/v1")
INIT = '"""Generated from `proto/intelgraph/gateway/v1` by `make generate`. Do not edit."""\n'


def generate(into: Path) -> None:
    """Runs protoc with the plugins of this environment.

    `google/rpc/status.proto` comes from the googleapis-common-protos distribution, which the generated code
    imports at run time as well.
    """
    sources = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / PACKAGE).glob("*.proto"))
    services = [source for source in sources if "\nservice " in (ROOT / source).read_text(encoding="utf-8")]
    scripts = Path(sysconfig.get_path("scripts"))
    protoc = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--proto_path={ROOT}",
        f"--proto_path={resources.files('google.rpc') / '../..'}",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
    ]
    with tempfile.NamedTemporaryFile(suffix=".binpb") as descriptors:
        subprocess.run([*protoc, f"--descriptor_set_out={descriptors.name}", *sources], check=True)
        undeclared = methods_without_permission(FileDescriptorSet.FromString(descriptors.read()))
    if undeclared:
        sys.exit(f"no `option (permission)` on: {', '.join(undeclared)}")
    into.mkdir(parents=True, exist_ok=True)
    subprocess.run([*protoc, f"--python_out={into}", f"--mypy_out=quiet:{into}", *sources], check=True)
    subprocess.run(
        [*protoc, f"--grpc_python_out={into}", f"--mypy_grpc_out=quiet:{into}", *services], check=True
    )
    (into / PACKAGE / "__init__.py").write_text(INIT, encoding="utf-8")


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
        if number not in {field.field_number for field in UnknownFieldSet(method.options)}
    ]


def main() -> None:
    """Parses the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT.parent / "python")
    into: Path = parser.parse_args().into
    for stale in (into / PACKAGE).glob("*_pb2*"):
        stale.unlink()
    generate(into)


if __name__ == "__main__":
    main()
