"""Builds the extension modules: Cython over the C core, whose kernels are compiled once per ISA and dtype.

The files of the core are compiled one by one, because the kernel files need different flags (csrc/build.toml); the
object files are linked into `_core`. Environment variables: FASTMLP_SANITIZE=address,undefined builds with sanitizers;
CC and CFLAGS have their usual meaning (CFLAGS=-DFML_NO_VECTOR_EXTENSIONS builds the kernels as plain C).
"""

import os
import platform
import tomllib
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

GNU_LIKE = os.name == "posix"
CORE = tomllib.loads(Path("csrc/build.toml").read_text(encoding="utf-8"))


def built_here(group):
    """Whether this group of the core's files is compiled on this machine and with its compiler."""
    return "machines" not in group or (GNU_LIKE and platform.machine().lower() in group["machines"])


GROUPS = [group for group in CORE["groups"] if built_here(group)]
MACROS = [(group["macro"], "1") for group in GROUPS if "macro" in group]
CORE_FLAGS = [*CORE["flags"], "-g0"]
SANITIZE = os.environ.get("FASTMLP_SANITIZE", "")
MODULE_FLAGS = ["-O2", "-g0", "-fvisibility=hidden", "-Wno-unused-function"] if GNU_LIKE else []
LINK_FLAGS = ["-pthread"] if GNU_LIKE else []
if platform.system() == "Linux" and not SANITIZE:
    LINK_FLAGS.append("-Wl,-s")
if SANITIZE:
    instrument = [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g1", "-fno-sanitize-recover=all"]
    CORE_FLAGS += instrument
    MODULE_FLAGS += instrument
    LINK_FLAGS += instrument
    MACROS += [("FML_SANITIZED", "1")]


class BuildExt(build_ext):
    """Compiles the C core before the module `_core`, which is linked with it."""

    def build_extension(self, ext):
        if ext.name == "fastmlp._core":
            ext.extra_objects = [obj for group in GROUPS for obj in self.compile_group(group)]
        super().build_extension(ext)

    def compile_group(self, group):
        return self.compiler.compile(
            [f"csrc/{name}.c" for name in group["files"]],
            output_dir=self.build_temp,
            macros=MACROS,
            include_dirs=["csrc"],
            extra_postargs=CORE_FLAGS + group.get("flags", []) if GNU_LIKE else ["/O2", "/std:c11"],
            depends=[str(path) for path in Path("csrc").rglob("*.*") if path.suffix != ".c"],
        )


class BuildPy(build_py):
    """Copies the header of the C API into the package, where `fastmlp.get_include` finds it."""

    def run(self):
        super().run()
        if not self.editable_mode:
            folder = Path(self.build_lib) / "fastmlp" / "include"
            self.mkpath(str(folder))
            self.copy_file("csrc/include/fastmlp.h", str(folder / "fastmlp.h"))


def extension(name):
    return Extension(
        f"fastmlp.{name}",
        [f"src/fastmlp/{name}.pyx"],
        include_dirs=["csrc", numpy.get_include()],
        depends=sorted(str(path) for path in Path("csrc").rglob("*.*")),
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"), *MACROS],
        extra_compile_args=MODULE_FLAGS,
        extra_link_args=LINK_FLAGS,
    )


setup(
    ext_modules=cythonize(
        [extension(name) for name in ("_core", "_rows", "_custom", "_blas")],
        compiler_directives={
            "language_level": 3,
            "auto_pickle": False,
            "binding": False,
            "embedsignature": True,
            "embedsignature.format": "clinic",
        },
        build_dir="build/cython",
    ),
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
)
