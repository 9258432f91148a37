"""The environment variables that libraries read when they are imported."""

from __future__ import annotations


def worker_environment(threads: int, offline: bool) -> dict[str, str]:
    """Environment variables of workers: one thread setting for every library, and no network where none is wanted."""
    settings = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": "1",
        "RAYON_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "true",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's allocator starts a thread otherwise
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime tells its maker of each session otherwise, names of files among it
        "TRANSFORMERS_VERBOSITY": "error",
    }
    return settings | ({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"} if offline else {})
