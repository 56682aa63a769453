"""A program that reads an HDF5 file from its standard input and writes its groups, arrays and texts to standard output.

hdf5_file.py runs it as a process of its own: the HDF5 library is written in C for files that are trusted, and a damaged
one can keep it in an endless loop or end the process. It imports nothing of this package.

Output: a line of JSON, then the bytes of the arrays one after another. The JSON is {"error": message} or
{"objects": {path: {"attributes": {name: text or list of texts}, "dtype": str, "shape": [...]}}}, where a group has
neither dtype nor shape, and a dataset that is no plain array of numbers has the shape None.

Every number is checked before memory is allocated: the arrays together are at most as large as the file, because those
that Keras writes are stored as they are. Links to other files, virtual and compressed datasets are refused.
"""

import io
import json
import sys

MAX_OBJECTS, MAX_DEPTH = 100_000, 64
SPARE = 256 * 2**20  # bytes of address space beside four times those of the file
TEXTS = ("model_config", "keras_version", "training_config", "name", "weight_names")  # the last also with a number
SKIPPED = ("optimizer", "optimizer_weights", "metrics", "seed_generator")  # groups that no prediction needs


class RefusedError(Exception):
    """The file has something that is not read."""


def limit_memory(size):
    """Limit the address space of this process where the system can do so."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 4 * size + SPARE,) * 2)
    except (ImportError, OSError, ValueError):
        pass


def text_of(value):
    """Return text from an attribute's string."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def attributes_of(item):
    """Return the texts among the attributes of a group or dataset that a Keras file has."""
    found = {}
    for name in item.attrs:
        if name not in TEXTS and name.rstrip("0123456789") != "weight_names":
            continue
        value = item.attrs[name]
        if isinstance(value, (str, bytes)):
            found[name] = text_of(value)
        elif getattr(value, "dtype", None) is not None and (value.dtype.kind in "SUO" or value.size == 0):
            found[name] = [text_of(each) for each in value.ravel()]
    return found


def read(h5py, data):
    """Return the description of each object, and the arrays."""
    objects, arrays, room = {}, [], len(data)
    with h5py.File(io.BytesIO(data), "r") as file:
        waiting = [("", file)]
        while waiting:
            path, item = waiting.pop()
            if len(objects) >= MAX_OBJECTS:
                raise RefusedError(f"expected at most {MAX_OBJECTS:,} groups and arrays, got more")
            entry = objects[path] = {"attributes": attributes_of(item)}
            if isinstance(item, h5py.Group):
                if path.count("/") >= MAX_DEPTH:
                    raise RefusedError(f"{path[:80]}: expected at most {MAX_DEPTH} levels of groups, got more")
                for name in item:
                    if name in SKIPPED:
                        continue
                    child = f"{path}/{name}"
                    if not isinstance(item.get(name, getlink=True), h5py.HardLink):
                        raise RefusedError(f"{child[:80]}: expected a group or array of this file, got a link")
                    waiting.append((child, item[name]))
                continue
            if not isinstance(item, h5py.Dataset):
                continue
            entry["shape"] = None
            if item.shape is None or item.dtype.kind not in "fiu" or item.dtype.itemsize > 8:
                continue
            if item.chunks is not None or item.is_virtual or item.external is not None:
                raise RefusedError(f"{path[:80]}: expected numbers stored as they are, got compressed or distant ones")
            room -= item.dtype.itemsize
            for length in item.shape:
                if length < 0 or (length and item.size * item.dtype.itemsize > room):
                    raise RefusedError(f"{path[:80]}: expected at most {len(data)} bytes of numbers, got {item.shape}")
            room -= item.size * item.dtype.itemsize
            dtype = item.dtype.newbyteorder("<")
            array = item[()].astype(dtype)
            entry.update(shape=list(item.shape), dtype=dtype.str)
            arrays.append(array.tobytes())
    return objects, arrays


def main():
    """Read standard input, and write what is in it, or why it cannot be read."""
    out = sys.stdout.buffer
    data = sys.stdin.buffer.read()
    arrays = []
    try:
        import h5py

        limit_memory(len(data))
        objects, arrays = read(h5py, data)
        header = {"objects": objects}
    except RefusedError as error:
        header = {"error": str(error)}
    except MemoryError:
        header = {"error": "expected an HDF5 file, got one whose parts are larger than itself"}
    except Exception as error:  # of h5py, which raises most of Python's exceptions for a damaged file
        header = {"error": f"expected an HDF5 file, got {type(error).__name__}: {str(error)[:200]}"}
    out.write(json.dumps(header).encode() + b"\n")
    for array in arrays:
        out.write(array)
    out.flush()


if __name__ == "__main__":
    main()
