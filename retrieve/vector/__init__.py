"""Vector retrieval: the index protocol, its engines, and the names they are chosen by."""

from retrieve.vector.base import VectorIndex, VectorSnapshot, check_vectors
from retrieve.vector.gpu import Gpu
from retrieve.vector.registry import DEFAULT_ENGINE, ENGINES, open_vector_index

__all__ = ["DEFAULT_ENGINE", "ENGINES", "Gpu", "VectorIndex", "VectorSnapshot", "check_vectors", "open_vector_index"]
