"""Describes, for an error message, what a file is that is not a model file, and what the user can do with it.

Files are recognised by their first bytes, safetensors files of other programs by their header, and zip archives by the
name of their first member. Nothing is unpickled or run.
"""

from __future__ import annotations

import contextlib
import reprlib
import zlib
from collections.abc import Mapping

N_BYTES = 512  # the number of bytes from the beginning of a file that `describe` looks at

_SAVED = "fastmlp.load reads what Network.save has written"
_COPY = (
    "To use its numbers, make a Network of the same layers and give it each layer's with "
    "net.set_layer(l, weight, bias), the weight of shape (outputs, inputs)"
)
_EXPORT = f"Load it with the program that has written it, and export the weights as arrays. {_COPY}"
_ONNX = "fastmlp.from_onnx reads it"
_KERAS = "fastmlp.from_keras reads it"
_TORCH = (
    "fastmlp.from_torch(path, activation=...) reads the layers in it, where you say the activations, which the file "
    "does not hold"
)
_POLICY = "fastmlp.from_stable_baselines3 reads it"
FROM_FILE = "fastmlp.from_file reads the models of some tools"
_TABLE = "`fastmlp train` and `fastmlp predict` read tables"

_MAGIC: list[tuple[int, bytes, str, str]] = [  # offset, bytes, kind of file, advice
    (0, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file of before version 1.6", _EXPORT),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as older versions of Keras write (.h5)", _KERAS),
    (4, b"TFL3", "a TensorFlow Lite model", _EXPORT),
    (0, b"GGUF", "a GGUF model", _EXPORT),
    (0, b"\x93NUMPY", "a NumPy array (.npy)", f"np.load reads it. {_COPY}"),
    (0, b"\x1f\x8b", "a file packed by gzip", "Unpack it first"),
    (0, b"BZh", "a file packed by bzip2", "Unpack it first"),
    (0, b"\xfd7zXZ\x00", "a file packed by xz", "Unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "a file packed by zstd", "Unpack it first"),
    (257, b"ustar", "a tar archive", "Unpack it first"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image", _SAVED),
    (0, b"\xff\xd8\xff", "a JPEG image", _SAVED),
    (0, b"GIF8", "a GIF image", _SAVED),
    (0, b"%PDF", "a PDF document", _SAVED),
    (0, b"PAR1", "a Parquet table", _TABLE),
    (0, b"ARROW1", "an Arrow table", _TABLE),
    (0, b"SQLite format 3\x00", "an SQLite database", _SAVED),
    (0, b"MATLAB 5.0", "a MATLAB file", "scipy.io.loadmat reads it"),
    (0, b"\x7fELF", "a program or library", _SAVED),
    (0, b"MZ", "a program or library", _SAVED),
    (0, b"version https://git-lfs", "a Git LFS pointer in place of the file", "`git lfs pull` fetches the file"),
]
_MEMBERS = [  # the end of the name of a zip archive's first member, kind of file, advice
    ("fastmlp-ensemble.json", "the file of an ensemble", "fastmlp.Ensemble.load reads it"),
    ("fastmlp-policy.json", "the file of a policy", "fastmlp.Policy.load reads it"),
    ("weight_0", "a program of torch.export (.pt2)", "torch.save(net.state_dict(), path) of its module can be read"),
    (
        "archive_format",
        "a program of torch.export (.pt2)",
        "torch.save(net.state_dict(), path) of its module can be read",
    ),
    (".npy", "a NumPy archive (.npz)", f"np.load reads it, `fastmlp train` too where it has X and y. {_COPY}"),
    ("data.pkl", "a PyTorch file, as torch.save writes (.pt)", _TORCH),
    (".format_version", "a PyTorch file, as torch.save writes (.pt)", _TORCH),
    ("metadata.json", "a Keras model (.keras)", _KERAS),
    ("config.json", "a Keras model (.keras)", _KERAS),
    ("data", "a model of stable-baselines3 (.zip)", _POLICY),
    ("[Content_Types].xml", "an Office document (.xlsx, .docx)", "Save a table as CSV, which `fastmlp train` reads"),
]
_PICKLE = (
    "a pickle (.pkl, joblib)",
    "Where you trust whoever has made it, pickle.load or joblib.load reads it: it can run any code. Of an estimator of "
    "scikit-learn, fastmlp.from_sklearn(estimator) then makes a network",
)


def describe(head: bytes, size: int) -> str | None:
    """Describe a file from its first bytes and its size, with advice; None if it is a safetensors file or unknown."""
    if size == 0:
        return f"an empty file. {_SAVED}"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40:  # safetensors, which has no magic number
        return None
    found = _by_magic(head) or _zip(head) or _protobuf(head) or _text(head)
    return None if found is None else f"{found[0]}. {found[1]}"


def safetensors(header: Mapping[str, object]) -> str:
    """Describe a safetensors file that another program has written, with advice."""
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    shapes = [entry.get("shape") if isinstance(entry, dict) else None for entry in entries.values()]
    listed = [
        f"{reprlib.repr(name)} {reprlib.repr(shape)}" for name, shape in zip(list(entries)[:4], shapes, strict=False)
    ]
    metadata = header.get("__metadata__")
    of = f" of the format {metadata['format']!r:.40}" if isinstance(metadata, dict) and "format" in metadata else ""
    more = ", ..." if len(entries) > 4 else ""
    return (
        f"a safetensors file{of} that fastmlp has not written (its __metadata__ does not say format 'fastmlp'), with "
        f"{len(entries)} tensors ({', '.join(listed)}{more}). "
        f"{_TORCH}"
    )


def _by_magic(head: bytes) -> tuple[str, str] | None:
    for offset, magic, what, hint in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return what, hint
    if (head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")) or head.startswith(b"ccopy_reg\n"):
        return _PICKLE
    if head[:1] == b"\x78":
        with contextlib.suppress(zlib.error):
            if zlib.decompressobj().decompress(head, 1) == b"\x80":
                return _PICKLE
    return None


def _zip(head: bytes) -> tuple[str, str] | None:
    """Describe a zip archive by the name of its first member, which is in the first header."""
    if head[:4] not in (b"PK\x03\x04", b"PK\x05\x06"):
        return None
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")].decode("utf-8", "replace")
    for end, what, hint in _MEMBERS:
        if name.endswith(end):
            return what, hint
    return "a zip archive", _SAVED


def _protobuf(head: bytes) -> tuple[str, str] | None:
    """Recognise an ONNX model or a TensorFlow graph: protocol buffers that begin with a small version number."""
    if len(head) < 4 or head[0] != 0x08 or head[2] not in (0x12, 0x1A, 0x3A, 0x42):
        return None
    if head[1] == 1:
        return "a TensorFlow SavedModel", _EXPORT
    return ("an ONNX model", _ONNX) if 3 <= head[1] < 32 else None


def _text(head: bytes) -> tuple[str, str] | None:
    """Describe JSON, HTML, XML, a table, or other text; None if the bytes are not text."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not merely a character cut off at the end
            return None
        text = head[: error.start].decode("utf-8-sig")
    if not all(character.isprintable() or character in "\r\n\t\f" for character in text):
        return None
    start = text.lstrip()
    if start.startswith(("FANN_FLO", "FANN_FIX")):
        return "a network of FANN", "fastmlp.from_fann reads it"
    if start.startswith(("{", "[")):
        return "JSON text", FROM_FILE
    if start[:9].lower().startswith(("<!doctype", "<html")):
        return "an HTML page, perhaps in place of what was to be downloaded", _SAVED
    if start.startswith("<"):
        return "XML text", FROM_FILE
    first = text.splitlines()[0] if text.strip() else ""
    if any(delimiter in first for delimiter in ",;\t"):
        return f"a table as text, whose first line is {reprlib.repr(first)}", _TABLE
    return f"text that begins {reprlib.repr(first)}", _SAVED
