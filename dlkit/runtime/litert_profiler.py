"""LiteRT's profiler, reached through its C library: the Python package has none.

The functions are those of LiteRT's headers (litert/c/litert_profiler.h, litert_compiled_model.h, litert_common.h); the
layout of an event is not promised to stay, so the version is. In a process of its own alone: a wrong layout crashes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlkit.errors import ExtraMissing, ModelFileError
from dlkit.extras import require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KNOWN = "2.3"
"""Version of ai-edge-litert whose events are laid out as here."""
CPU = 1
"""kLiteRtHwAcceleratorCpu."""
WRITE = 1
"""kLiteRtTensorBufferLockModeWrite."""
RANKED_TENSOR_TYPE_BYTES = 512
"""More than a LiteRtRankedTensorType has; it is only passed on."""
WHOLE, BUILT_IN, OF_DELEGATE = 1, 2, 8
"""Kinds of events that count here: an inference, an operation of LiteRT's own kernels, and one of the delegate's."""


class Event(NamedTuple):
    """A timed event of one inference.

    Attributes:
        tag: what ran.
        kind: `WHOLE`, `BUILT_IN`, `OF_DELEGATE` or another.
        elapsed_us: whole microseconds, rounded down.
        number: place of the operation: in its subgraph, or among the delegate's.
        subgraph: that it is in; 0 is the main one.
    """

    tag: str
    kind: int
    elapsed_us: int
    number: int
    subgraph: int


class _Event(ctypes.Structure):
    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_uint64 * 6),
        ("number", ctypes.c_int64),
        ("subgraph", ctypes.c_int64),
        ("source", ctypes.c_int),
    )


def check_version() -> None:
    """Raise ExtraMissing unless the installed ai-edge-litert is one whose events are known."""
    require("ai_edge_litert")
    found = version("ai-edge-litert")
    if found.split(".")[:2] != KNOWN.split("."):
        raise ExtraMissing(
            f"times of single operations are read from ai-edge-litert {KNOWN}, and {found} is installed: "
            f"pip install 'ai-edge-litert=={KNOWN}.*', or leave out --ops"
        )


class ProfiledModel:
    """A .tflite file loaded on the processor with LiteRT's profiler on. What it holds is freed with the process.

    Raises:
        ModelFileError: LiteRT refuses the file.
        ExtraMissing: see `check_version`.
    """

    def __init__(self, model: Path, threads: int) -> None:
        check_version()
        package = Path(require("ai_edge_litert").__file__ or "").parent
        self._name, self._library = str(model), ctypes.CDLL(str(package / "libLiteRt.so"))
        self._environment, self._compiled, self._profiler = (ctypes.c_void_p() for _ in range(3))
        loaded = ctypes.c_void_p()
        self._call("CreateEnvironment", 0, None, ctypes.byref(self._environment))
        self._call("CreateModelFromFile", self._environment, str(model).encode(), ctypes.byref(loaded))
        options = self._options(threads)
        self._call("CreateCompiledModel", self._environment, loaded, options, ctypes.byref(self._compiled))
        self._call("CompiledModelGetProfiler", self._compiled, ctypes.byref(self._profiler))
        self._signature = ctypes.c_void_p()
        self._call("GetModelSignature", loaded, ctypes.c_size_t(0), ctypes.byref(self._signature))
        self._inputs, self._outputs = self._buffers("Input"), self._buffers("Output")

    def set_inputs(self, stored: Mapping[str, NDArray[np.generic]]) -> None:
        """Fill the inputs with arrays in their own dtypes, by name; of a single input whatever it is called."""
        for place, buffer in enumerate(self._inputs):
            name = ctypes.c_char_p()
            self._call("GetSignatureInputName", self._signature, ctypes.c_size_t(place), ctypes.byref(name))
            called = (name.value or b"").decode("utf-8", "replace")
            if called not in stored and len(self._inputs) > 1:
                raise ModelFileError(f"{self._name}: the profiler calls an input {called!r}, and no other does")
            content = (stored[called] if called in stored else next(iter(stored.values()))).tobytes()
            address = ctypes.c_void_p()
            self._call("LockTensorBuffer", ctypes.c_void_p(buffer), ctypes.byref(address), WRITE)
            ctypes.memmove(address, content, len(content))
            self._call("UnlockTensorBuffer", ctypes.c_void_p(buffer))

    def run(self) -> None:
        """One inference."""
        ends = [argument for buffers in (self._inputs, self._outputs)
                for argument in (ctypes.c_size_t(len(buffers)), buffers)]  # fmt: skip
        self._call("RunCompiledModel", self._compiled, ctypes.c_size_t(0), *ends)

    def profiled(self) -> list[Event]:
        """The events of one inference, in the order in which they began."""
        self._call("ResetProfiler", self._profiler)
        self._call("StartProfiler", self._profiler)
        self.run()
        self._call("StopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("GetNumProfilerEvents", self._profiler, ctypes.byref(count))
        if count.value < 1:
            raise ModelFileError(f"{self._name}: LiteRT's profiler tells of no operation")
        events = (_Event * count.value)()
        self._call("GetProfilerEvents", self._profiler, count.value, ctypes.byref(events))
        return [
            Event((e.tag or b"").decode("utf-8", "replace"), e.kind, e.elapsed_us, e.number, e.subgraph) for e in events
        ]

    def _options(self, threads: int) -> ctypes.c_void_p:
        options = ctypes.c_void_p()
        self._call("CreateOptions", ctypes.byref(options))
        self._call("SetOptionsHardwareAccelerators", options, CPU)
        for kind, text in (("runtime_options_string", "enable_profiling = true\n"),
                           ("xnnpack", f"num_threads = {threads}\n")):  # fmt: skip
            self._add(options, kind.encode(), text.encode())
        return options

    def _add(self, options: ctypes.c_void_p, kind: bytes, text: bytes) -> None:
        """Give options a part, whose text LiteRT frees itself."""
        system = ctypes.CDLL(None)
        system.strdup.restype = ctypes.c_void_p
        kept, part = ctypes.c_void_p(system.strdup(text)), ctypes.c_void_p()
        free = ctypes.cast(system.free, ctypes.c_void_p)
        self._call("CreateOpaqueOptions", kind, kept, free, ctypes.byref(part))
        self._call("AddOpaqueOptions", options, part)

    def _buffers(self, end: str) -> Any:
        """Memory for each input, or output, as an array of pointers."""
        count = ctypes.c_size_t()
        self._call(f"GetNumSignature{end}s", self._signature, ctypes.byref(count))
        made = []
        for place in map(ctypes.c_size_t, range(count.value)):
            tensor, needed, buffer = (ctypes.c_void_p() for _ in range(3))
            kind = ctypes.create_string_buffer(RANKED_TENSOR_TYPE_BYTES)
            self._call(f"GetSignature{end}TensorByIndex", self._signature, place, ctypes.byref(tensor))
            self._call("GetRankedTensorType", tensor, kind)
            self._call(
                f"GetCompiledModel{end}BufferRequirements", self._compiled, ctypes.c_size_t(0), place,
                ctypes.byref(needed),
            )  # fmt: skip
            self._call(
                "CreateManagedTensorBufferFromRequirements", self._environment, kind, needed, ctypes.byref(buffer)
            )
            made.append(buffer.value)
        return (ctypes.c_void_p * len(made))(*made)

    def _call(self, name: str, *arguments: Any) -> None:
        """A function of the library. Raises ModelFileError for another status than that all is well."""
        try:
            function = self._library[f"LiteRt{name}"]
        except AttributeError:
            raise ModelFileError(f"{self._name}: this build of LiteRT has no LiteRt{name}") from None
        function.restype = ctypes.c_int
        if status := function(*arguments):
            raise ModelFileError(f"{self._name}: LiteRt{name} fails with status {status}")
