"""Each ONNX operator that is read, as our layers; one function an operator or a family.

An importer is given the `Reader` and a node, calls layers on the values that the node reads, fills
their weights and says what the node writes.
"""

from convlet.saving.onnx.importers import shapes, units, windows
from convlet.saving.onnx.importers.common import IMPORTERS

__all__ = ["IMPORTERS", "shapes", "units", "windows"]
