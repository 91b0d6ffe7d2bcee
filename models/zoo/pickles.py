"""Reads detectron2's `.pkl` checkpoints, plain pickles of NumPy arrays, without running code from them."""

import pickle
from typing import Any, BinaryIO

# All that a pickle of NumPy arrays in plain containers names; none of it does anything but build arrays.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.numeric", "_frombuffer"),
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, and only NumPy arrays are read, as code of strangers could be run otherwise"
            )
        return super().find_class(module, name)


def read(file: BinaryIO) -> Any:
    """The contents of a pickle of NumPy arrays; raises whatever the damage to the file leads to."""
    # Files of Python 2 hold byte strings, which this encoding takes as they are.
    return _Unpickler(file, encoding="latin1").load()
