"""The only way to libraries that report their use to their makers: here they are imported so that they cannot.

Both ask nobody, and leave an id of the machine in the home folder. No text is in what they send; but when and where a
worker runs, and with which model, is nobody else's business.

- ONNX Runtime, since 1.29 also on Linux, sends which models (by name and hash) sessions are made of and how they
  perform; `ORT_DISABLE_TELEMETRY`, set before it is imported, stops all of it
  (https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md).
- OpenVINO's Python package sends an event on import, through its package openvino_telemetry; where that cannot be
  imported it takes a stand-in of its own.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any


def onnxruntime() -> Any:
    """The module. Raises ImportError where it is not installed."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    return import_module("onnxruntime")


def openvino() -> Any:
    """The module. Raises ImportError where it is not installed."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    return import_module("openvino")
