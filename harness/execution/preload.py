"""Imported once by the process that workers are forked from, so that a worker starts in milliseconds.

It must start no thread: onnxruntime does on import, so each worker imports that itself.
"""

from harness.execution.program_end import imports_while_program_lives, leave_nothing_at_exit

leave_nothing_at_exit()
with imports_while_program_lives():
    import torch  # noqa: F401
    import transformers.models.bert.modeling_bert
    import transformers.models.distilbert.modeling_distilbert
    import transformers.models.gpt2.modeling_gpt2
    import transformers.models.llama.modeling_llama
    import transformers.models.t5.modeling_t5  # noqa: F401

    import harness.execution.work  # noqa: F401
