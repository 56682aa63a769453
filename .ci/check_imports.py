"""Checks the imports between the package's modules: no cycles, and from the same or a lower layer only.

The imports of a module include those within functions, but not those for type checkers only; the imports of a compiled
module are those of its Cython source. ALLOWED lists the exceptions, which import from a higher layer within a function,
with the reason.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path("src/fastmlp")
LAYERS = (  # from the lowest to the highest; a name with a dot at its end is a folder
    "_version arguments console errors exports frozen history suggestions formats.atomic formats.foreign "
    "formats.strict_json",
    "inputs.arrays formats.safetensors formats.upgrade training.progress cli.preparation",
    "inputs. tables.",
    "_blas _custom _rows",
    "_core about datasets inputs.sharing",
    "inputs.moments activations schedules initializers optimizers losses metrics regularization scaling engines "
    "encoder",
    "architecture",
    "description",
    "formats. callbacks model training. network ensemble policy quantization callers. bound",
    "__init__",
    "reference. sklearn.",
    "convert.",
    "cli. __main__",
)
COMPILED = {  # extension module: its Cython sources
    "_blas": ("_blas.pyx", "_blas.pxd"),
    "_core": ("_core.pyx", "_*.pxi"),
    "_custom": ("_custom.pyx", "_custom.pxd"),
    "_rows": ("_rows.pyx", "_rows.pxd"),
}
ALLOWED = {
    ("inputs.schema", "encoder"): "a network has an encoder only if its frames need one, and encoding needs the core",
}


def imports_of(tree: ast.AST, package: list[str], known: set[str]) -> Iterator[str]:
    """Yield the modules of the package that the code imports."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            base = [*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                longer = ".".join([*base, alias.name])
                yield longer if longer in known else ".".join(base) or "__init__"
        yield from imports_of(node, package, known)


def graph() -> dict[str, set[str]]:
    """Return the names of the modules that each module imports, relative to the package."""
    paths = {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in SOURCE.rglob("*.py")}
    names = {name: name.removesuffix(".__init__") for name in paths}
    known = {*names.values(), *COMPILED}
    edges = {
        names[name]: set(imports_of(ast.parse(path.read_text()), list(path.relative_to(SOURCE).parts[:-1]), known))
        for name, path in paths.items()
    }
    for name, sources in COMPILED.items():
        edges[name] = set()
        for path in (path for source in sources for path in SOURCE.glob(source)):
            for module, imported in re.findall(r"^from \.([\w.]*) c?import (.*)$", path.read_text(), re.MULTILINE):
                edges[name].update([module] if module else imported.split(", "))
        edges[name] -= {"_csrc"}  # declarations of the C core
    return {name: {other for other in others if other != name} for name, others in edges.items()}


def layer(name: str) -> int:
    """Return the index of a module's layer; -1 if it has none."""
    folder = name.partition(".")[0] + "."
    own = next((i for i, names in enumerate(LAYERS) if name in names.split()), -1)
    return own if own >= 0 else next((i for i, names in enumerate(LAYERS) if folder in names.split()), -1)


def cycle(edges: dict[str, set[str]], name: str, path: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the first cycle that is found from the end of the path on, or an empty tuple."""
    if name in path:
        return (*path[path.index(name) :], name)
    return next(filter(None, (cycle(edges, other, (*path, name)) for other in sorted(edges.get(name, ())))), ())


def main() -> int:
    """Print the violations; return whether there are any."""
    edges = graph()
    problems = [f"{name} is in no layer of {__file__}" for name in sorted(edges) if layer(name) < 0]
    problems += [
        f"{name} imports {other}, which is in a higher layer"
        for name, others in sorted(edges.items())
        for other in sorted(others)
        if layer(other) > layer(name) and (name, other) not in ALLOWED
    ]
    problems += [f"{name} no longer imports {other}" for name, other in ALLOWED if other not in edges[name]]
    down = {name: {other for other in others if (name, other) not in ALLOWED} for name, others in edges.items()}
    found = next(filter(None, (cycle(down, name) for name in sorted(down))), ())
    problems += [f"a cycle of imports: {' -> '.join(found)}"] if found else []
    for problem in problems:
        print(problem)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
