"""A tiny candidate of each family, trained in a second or two."""

from __future__ import annotations

from harness.candidates.spec import CandidateSpec, TrainingSpec

TINY = {
    "causal": CandidateSpec(
        origin="trained",
        family="causal",
        architecture="gpt2",
        shape={"n_layer": 2, "n_embd": 32, "n_head": 2, "n_positions": 96},
        vocabulary=400,
        training=TrainingSpec(tokens=20_000, block_size=32, batch_size=4, learning_rate=5e-3, evaluations=2),
    ),
    "masked": CandidateSpec(
        origin="trained",
        family="masked",
        architecture="bert",
        shape={
            "num_hidden_layers": 2,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 96,
        },
        vocabulary=400,
        training=TrainingSpec(tokens=20_000, block_size=32, batch_size=4, learning_rate=5e-3, evaluations=2),
    ),
    "seq2seq": CandidateSpec(
        origin="trained",
        family="seq2seq",
        architecture="t5",
        shape={"num_layers": 1, "num_decoder_layers": 1, "d_model": 32, "num_heads": 2, "d_kv": 16, "d_ff": 64},
        vocabulary=400,
        training=TrainingSpec(
            tokens=30_000,
            block_size=32,
            batch_size=4,
            learning_rate=5e-3,
            mask_share=0.5,
            evaluations=2,
        ),
    ),
}
