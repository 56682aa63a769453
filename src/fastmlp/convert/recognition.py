"""FORMATS: the table of the formats of other tools' models, and `recognize`, which finds a file's row in it.

A row has the format's name, the module of this folder that reads it (None: `fastmlp.load` does, or `Policy.load` of a
policy), the extra of pyproject.toml whose packages that module needs, and `recognizes`, which decides by the content of
a file or a folder, never by its name. A module has `read(source, **options)`, which returns a `Chain`. To add a format,
write the module and its row here. Nothing here imports a reader: `fastmlp.convert` does so when a file is there to be
read.
"""

from __future__ import annotations

import functools
import os
import re
import zlib
from collections.abc import Callable, Collection
from typing import NamedTuple

from ..errors import FormatError
from ..formats import atomic, foreign, policy_file

OWN = re.compile(rb'"format":\s*"fastmlp"')  # in the metadata of a safetensors file
MAX_TEXT = 2**26  # the bytes of a text file that are looked at, for words that may stand anywhere in it


class Content:
    """A file or a folder, of which rows look at what they need."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = atomic.name_of(path)
        self.is_folder = os.path.isdir(self.path)
        self.head, self.size = b"", 0
        if not self.is_folder:
            with open(self.path, "rb") as stream:
                self.size, self.head = os.fstat(stream.fileno()).st_size, stream.read(foreign.N_BYTES)

    @functools.cached_property
    def members(self) -> frozenset[str]:
        """The names of the members of a zip archive; empty if it is none."""
        if not self.head.startswith(b"PK\x03\x04"):
            return frozenset()
        import zipfile  # here, because few formats are archives

        try:
            with zipfile.ZipFile(self.path) as archive:
                return frozenset(archive.namelist())
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            raise FormatError(f"{self.path}: expected a zip archive, got one that is cut off or altered") from None

    @functools.cached_property
    def files(self) -> frozenset[str]:
        """The names in a folder; empty if it is none."""
        return frozenset(os.listdir(self.path) if self.is_folder else ())

    @functools.cached_property
    def text(self) -> bytes:
        """The first bytes of a text file; empty if it is none."""
        if self.is_folder or b"\0" in self.head:
            return b""
        with open(self.path, "rb") as stream:
            return stream.read(MAX_TEXT)

    @property
    def is_json(self) -> bool:
        """Whether the file is text that begins like an object of JSON."""
        return self.text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")

    def has_folders(self, *names: str) -> bool:
        """Whether it is a folder with these folders."""
        return self.is_folder and all(os.path.isdir(os.path.join(self.path, name)) for name in names)


class Format(NamedTuple):
    """A row of FORMATS."""

    name: str
    module: str | None
    recognizes: Callable[[Content], bool]
    extra: str = ""


def _is_r(content: Content) -> bool:
    """Return whether it is what saveRDS of R writes, perhaps packed by gzip, or an nnet that R has written as JSON."""
    head = content.head
    if head.startswith(b"\x1f\x8b"):
        try:
            head = zlib.decompressobj(31).decompress(head, 16)
        except zlib.error:
            return False
    return head.startswith((b"X\n\0\0\0", b"A\n", b"B\n")) or (content.is_json and b'"wts"' in content.text)


def _is_onnx(content: Content) -> bool:
    """Return whether it is a ModelProto: field 1, its version, is followed by another of its fields."""
    head = content.head
    return len(head) > 3 and head[0] == 0x08 and 3 <= head[1] < 128 and head[2] in b"\x12\x1a\x22\x28\x32\x3a\x42\x72"


POLICY = Format("fastmlp", None, lambda c: policy_file.KIND.manifest in c.members)

# The first row whose `recognizes` returns True reads the file.
FORMATS = (
    Format("fastmlp", None, lambda c: c.head[8:9] == b"{" and OWN.search(c.head) is not None),
    POLICY,
    Format("Spark", "spark", lambda c: c.has_folders("metadata", "data"), "spark"),
    Format("stable-baselines3", "stable_baselines3", lambda c: {"data", "policy.pth"} <= c.members),
    Format("Keras", "keras_models", lambda c: {"config.json", "model.weights.h5"} <= (c.members | c.files)),
    Format("PyTorch", "torch_file", lambda c: any(f"/{name}".endswith("/data.pkl") for name in c.members)),
    Format("Keras", "keras_models", lambda c: c.head.startswith(b"\x89HDF\r\n\x1a\n")),
    Format("safetensors", "safetensors_file", lambda c: c.head[8:9] == b"{"),
    Format("ONNX", "onnx_model", _is_onnx),
    Format("FANN", "fann", lambda c: c.head.startswith((b"FANN_FLO", b"FANN_FIX"))),
    Format("R nnet", "r_nnet", _is_r),
    Format("OpenCV", "opencv", lambda c: b"opencv_ml_ann_mlp" in c.text),
    Format("PMML", "pmml", lambda c: b"<PMML" in c.text[:4096]),
    Format("RTNeural", "rtneural", lambda c: c.is_json and b'"in_shape"' in c.text and b'"layers"' in c.text),
    Format("lwtnn", "lwtnn", lambda c: c.is_json and b'"inputs"' in c.text and b'"layers"' in c.text),
    Format("pyrenn", "pyrenn", lambda c: c.head.startswith((b"nn\n", b"nn\r\n"))),
)


def _find(content: Content) -> Format | None:
    return next((row for row in FORMATS if row.recognizes(content)), None)


def _described(content: Content) -> str | None:
    """Say what a file or folder is that belongs to no row; None if that cannot be seen."""
    if "saved_model.pb" in content.files:
        return "a SavedModel of TensorFlow, which is not read: load it with Keras and save it as .keras"
    if content.is_folder:
        return "a folder"
    found = foreign.describe(content.head, content.size)
    return None if found is None else found.removesuffix(f". {foreign.FROM_FILE}")


def refuse_other(path: str | os.PathLike[str], modules: Collection[str]) -> None:
    """Raise an error if a file that none of these modules could read is of another kind, and say of which."""
    content = Content(path)
    row = _find(content)
    if row is None:
        found = _described(content)
    elif row.module in modules:
        found = None
    else:
        found = f"a model of {row.name}; fastmlp.{'load' if row.module is None else 'from_file'} reads it"
    if found is not None:
        known = " or ".join(dict.fromkeys(each.name for each in FORMATS if each.module in modules))
        raise FormatError(f"{content.path}: expected a model of {known}, got {found}")


def recognize(path: str | os.PathLike[str]) -> Format:
    """Return the row of FORMATS that a file or folder belongs to.

    Raises
    ------
    FormatError
        If it belongs to none; the message says what the file is, where that can be seen.
    OSError
        If there is no such file.
    """
    content = Content(path)
    row = _find(content)
    if row is not None:
        return row
    known = ", ".join(dict.fromkeys(row.name for row in FORMATS))
    raise FormatError(f"{content.path}: expected a model of {known}, got {_described(content) or 'other bytes'}")
