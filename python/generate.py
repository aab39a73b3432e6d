"""Generates the stubs in src/headwater/v1 from ../proto, into the folder that is its argument.

The protos carry options that only servers read: how requests are validated, and which permission a method needs. They and
what they import are taken out first, so that the stubs need no modules of others (`buf`) that another package may bring in
another version.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "headwater/v1"
INIT = '''"""The generated messages and stubs of the contract: `X_pb2` and `X_pb2_grpc` for each file of proto/headwater/v1.

`headwater.Client` is made of them. They are here for calls that it has no method for.
"""
'''


def run(*arguments: str) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        sys.exit("protoc failed")


def strip(message: object) -> None:
    """Takes the options of others out of a descriptor and of all that it holds."""
    for field, value in message.ListFields():  # type: ignore[attr-defined]
        if field.name == "options":
            value.DiscardUnknownFields()
            if not value.ListFields():
                message.ClearField("options")  # type: ignore[attr-defined]
        elif field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                strip(part)


def main() -> None:
    """Lays the files out of ../proto into the folder sys.argv[1]."""
    out = Path(sys.argv[1]).resolve()
    protos = sorted(p.relative_to(ROOT / "proto").as_posix() for p in (ROOT / "proto" / PACKAGE).glob("*.proto"))
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "all.binpb"
        run(f"-I{ROOT / 'proto'}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={whole}", *protos)
        files = descriptor_pb2.FileDescriptorSet.FromString(whole.read_bytes())
        for file in list(files.file):
            if file.name.startswith("buf/"):
                files.file.remove(file)
                continue
            kept = [d for d in file.dependency if not d.startswith("buf/")]
            del file.dependency[:]
            if file.package == "headwater.v1":
                del file.extension[:]
                kept = [d for d in kept if d != "google/protobuf/descriptor.proto"]
                strip(file)
            file.dependency.extend(kept)
        whole.write_bytes(files.SerializeToString(deterministic=True))
        for old in out.glob("*_pb2*"):
            old.unlink()
        laid = Path(folder) / "out"
        laid.mkdir()
        run(
            f"--descriptor_set_in={whole}",
            f"--python_out={laid}",
            f"--pyi_out={laid}",
            f"--grpc_python_out={laid}",
            *protos,
        )
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted((laid / PACKAGE).iterdir()):
            (out / file.name).write_bytes(file.read_bytes())
        (out / "__init__.py").write_text(INIT)


if __name__ == "__main__":
    main()
